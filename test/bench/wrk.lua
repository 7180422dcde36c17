-- Sends prepared requests of the same length from a file: wrk -s wrk.lua URL -- FILE LENGTH FIRST COUNT
-- The requests are signed in advance, so that the cost of the load generator is small and the same for every design.
-- The file is mapped and not read, because it may be larger than LuaJIT can allocate.
local ffi = require("ffi")
ffi.cdef([[
  int open(const char *path, int flags);
  void *mmap(void *address, size_t length, int protection, int flags, int file, long offset);
]])
local O_RDONLY, PROT_READ, MAP_PRIVATE, MAP_POPULATE = 0, 1, 2, 0x8000

local data, length, count
-- Global, because `done` runs in another Lua state and reads them.
first, sent = 0, 0

function init(args)
  length, first, count = tonumber(args[2]), tonumber(args[3]), tonumber(args[4])
  local file = ffi.C.open(args[1], O_RDONLY)
  assert(file >= 0, "cannot open " .. args[1])
  local size = length * (first + count)
  local mapped = ffi.C.mmap(nil, size, PROT_READ, MAP_PRIVATE + MAP_POPULATE, file, 0)
  assert(ffi.cast("intptr_t", mapped) ~= -1, "cannot map " .. args[1])
  data = ffi.cast("const char *", mapped) + length * first
end

function request()
  local at = sent % count
  sent = sent + 1
  return ffi.string(data + at * length, length)
end

local threads = {}
function setup(thread)
  threads[#threads + 1] = thread
end

function done(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    '\n{"sent":%d,"answered":%d,"durationUs":%d,"p50Us":%d,"p99Us":%d,"not200":%d,"socketErrors":%d}\n',
    threads[1]:get("sent"), summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
    errors.status, errors.connect + errors.read + errors.write + errors.timeout
  ))
end
