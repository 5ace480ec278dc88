-- docs/tutorial.md, typed from its first line to its last; its chapter with a container by tests/container/docs_spec.lua.
local typing = require "typing"

describe("the tutorial", function()
  it("does what it says", function()
    typing.page("docs/tutorial.md", {
      commands = {
        ["make image"] = { test = "tests/container/images.sh", says = "deploy/image/build.sh", why = "it builds an image" },
        ["docker …"] = { test = "tests/container/docs_spec.lua", says = '"docs/tutorial.md"', why = "there is a real container" },
      },
    })
  end)
end)
