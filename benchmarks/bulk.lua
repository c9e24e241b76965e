-- PUTs customers, a thousand in one request. Arguments: the API key, how many exist (known-1 and on), the file with one
-- body, in which NUMBER is to be replaced, and "same" where every record is to be as it is already.

dofile((debug.getinfo(1, "S").source:match("^@(.*/)") or "") .. "report.lua")

local ROWS = 1000
local headers, known, before, after, same
local counter = 0

function init(arguments)
  headers = { Authorization = "API_KEY " .. arguments[1], ["Content-Type"] = "application/json" }
  known = tonumber(arguments[2])
  local body = io.open(arguments[3]):read("*a")
  before, after = body:match("^{(.-)NUMBER(.*)$")
  same = arguments[4] == "same"
end

function request()
  local records = {}
  local first = math.random(known - ROWS)
  for i = 1, ROWS do
    counter = counter + 1
    local number, content = first + i, first + i
    if not same then
      number = i % 2 == 0 and math.random(1000000, 2000000000) or number
      content = counter
    end
    records[i] = '{"externalCustomerId":"known-' .. number .. '",' .. before .. content .. after
  end
  return wrk.format("PUT", "/v2/public/customers", headers, '{"customers":[' .. table.concat(records, ",") .. "]}")
end
