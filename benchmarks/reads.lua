-- GETs one path with the API key; a NUMBER in it is replaced by one from 1 to the third argument.

dofile((debug.getinfo(1, "S").source:match("^@(.*/)") or "") .. "report.lua")

local headers, path, known

function init(arguments)
  headers = { Authorization = "API_KEY " .. arguments[1] }
  path, known = arguments[2], tonumber(arguments[3])
end

function request()
  return wrk.format("GET", (path:gsub("NUMBER", math.random(known))), headers)
end
