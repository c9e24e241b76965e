-- PUTs customers, turn by turn a new one and another content for one of those that exist.
-- Arguments: the API key, how many exist (known-1 and on), the file with the body, in which NUMBER is to be replaced.

dofile((debug.getinfo(1, "S").source:match("^@(.*/)") or "") .. "report.lua")

local headers, known, before, after
local counter = 0

function init(arguments)
  headers = { Authorization = "API_KEY " .. arguments[1], ["Content-Type"] = "application/json" }
  known = tonumber(arguments[2])
  local body = io.open(arguments[3]):read("*a")
  before, after = body:match("^(.-)NUMBER(.*)$")
end

function request()
  counter = counter + 1
  local number = counter % 2 == 0 and math.random(1000000, 2000000000) or math.random(known)
  return wrk.format("PUT", "/v2/public/customers/known-" .. number, headers, before .. counter .. after)
end
