-- A WSAPI application, see uwsgi.ini.
local function run(environ)
	local function body()
		coroutine.yield("Edit me, save me, and load this page again.\n")
	end
	return "200 OK", {["Content-Type"] = "text/plain; charset=utf-8"}, coroutine.wrap(body)
end

return run
