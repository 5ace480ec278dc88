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

---Writes out what the kernel still holds of a file or directory.
---@async
---@param path string
---@return boolean? done
---@return tend.error? err
function fs.sync(path) end
