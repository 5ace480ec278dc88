---@meta

---Files. In a flow each call runs in a helper process (a dead mount cannot stop tend) and waits; in `tend script` it is
---direct. Errors carry the system's name in small letters as code: "enoent", "eacces", "enospc", …
---@class fs
fs = {}

---@class tend.fs.stat
---@field type "file"|"directory"|"link"|"other" a link only when what it names is missing
---@field size integer bytes
---@field mtime number seconds since 1970
---@field mode integer
---@field uid integer
---@field gid integer

---What a path names; links are followed.
---@async
---@param path string
---@return tend.fs.stat?
---@return tend.error? err
function fs.stat(path) end

---Whether there is something of that name.
---@async
---@param path string
---@return boolean? there
---@return tend.error? err when it cannot be told
function fs.exists(path) end

---The entries, sorted by name, at most 100,000; names that are not UTF-8 are left out. How many were left out comes second.
---@async
---@param path string
---@return { name: string, type: string }[]?
---@return integer|tend.error left_out
function fs.list(path) end

---Bytes of a regular file: from `offset`, at most `max` (16 MiB; 64 KiB in a flow).
---@async
---@param path string
---@param options? { offset?: integer, max?: integer }
---@return string?
---@return tend.error? err
function fs.read(path, options) end

---Iterates over the lines, without their newlines, in pieces: the file may be of any size. Raises on an error.
---@async
---@param path string
---@return fun(): string?
function fs.lines(path) end

---Replaces the file at once: a temporary file beside it, synced, renamed. Readers see the old or the new one whole.
---@async
---@param path string
---@param text string
---@return boolean? done
---@return tend.error? err
function fs.write_atomic(path, text) end

---Adds at the end; made when missing.
---@async
---@param path string
---@param text string
---@return boolean? done
---@return tend.error? err
function fs.append(path, text) end

---Makes a directory and its parents; no error when it is there.
---@async
---@param path string
---@return boolean? done
---@return tend.error? err
function fs.mkdir(path) end

---Within one file system; replaces what is there.
---@async
---@param path string
---@param to string
---@return boolean? done
---@return tend.error? err
function fs.rename(path, to) end

---A file, a link or an empty directory.
---@async
---@param path string
---@return boolean? done
---@return tend.error? err
function fs.remove(path) end

---All that is below a directory, sorted by path. No symbolic link is followed, no other file system entered; folders deeper than
---128 are left alone. In a flow the answer has at most 64 KiB ("efbig"): give `max`.
---@async
---@param path string absolute
---@param options? { max?: integer, timeout?: number } entries at most (100,000); seconds in a flow (30)
---@return { path: string, type: "file"|"directory"|"link"|"other", size: integer, mtime: number }[]? entries paths from there; bytes
---@return integer|tend.error left_out how many are not among them, or could not be read
function fs.tree(path, options) end

---@class tend.fs.usage
---@field files integer
---@field directories integer
---@field bytes integer that they take on the disk
---@field problems integer what could not be read
---@field first_problem? string

---How much is below a directory, by the same rules.
---@async
---@param path string absolute
---@param options? { timeout?: number } seconds in a flow (30)
---@return tend.fs.usage?
---@return tend.error? err
function fs.usage(path, options) end

---Removes a directory and all that is below it, by the same rules: links are removed, not what they name; a mount in it is left alone,
---and told. Refused for /, what lies at the top, homes, and the system's own folders ("eperm"). What it could not remove is an error;
---the rest is gone.
---@async
---@param path string absolute, a directory itself and no link to one
---@param options? { timeout?: number } seconds in a flow (30)
---@return tend.fs.usage? removed
---@return tend.error? err
function fs.remove_tree(path, options) end

---Space of the file system that a path lies on, in bytes; `available` is what tend's user may still fill.
---@async
---@param path string
---@return { total: integer, free: integer, available: integer }?
---@return tend.error? err
function fs.space(path) end

---Writes out what the kernel still holds of a file or directory.
---@async
---@param path string
---@return boolean? done
---@return tend.error? err
function fs.sync(path) end
