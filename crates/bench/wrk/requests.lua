-- Sends one body with many tokens, and looks at every answer.
--
-- BENCH_TOKENS and BENCH_ANSWERS name files with one token and one allowed answer a line; an empty line is for a stranger.
-- BENCH_METHOD and BENCH_BODY hold the method and the body.
-- Where the answers hold ids that are not known beforehand, the lines are the start and the end that each must have
-- (BENCH_ANSWERS_ARE=ends). The result is one line of JSON.

local threads = {}

function setup(thread)
  thread:set("number", #threads)
  table.insert(threads, thread)
end

local function lines(variable)
  local all = {}
  for line in io.lines(os.getenv(variable)) do all[#all + 1] = line end
  return all
end

function init()
  -- Globals: `done` reads them from outside, and `wrong` is what voids a run.
  wrong, example, at = 0, "", number * 37
  local body = os.getenv("BENCH_BODY")
  prepared = {}
  for i, token in ipairs(lines("BENCH_TOKENS")) do
    local headers = {}
    if token ~= "" then headers["Authorization"] = "Bearer " .. token end
    if body ~= "" then headers["Content-Type"] = "application/json" end
    prepared[i] = wrk.format(os.getenv("BENCH_METHOD"), nil, headers, body)
  end
  local answers = lines("BENCH_ANSWERS")
  if os.getenv("BENCH_ANSWERS_ARE") == "ends" then
    local first, last = answers[1], answers[2]
    right = function(answer) return answer:sub(1, #first) == first and answer:sub(-#last) == last end
  else
    local known = {}
    for _, answer in ipairs(answers) do known[answer] = true end
    right = function(answer) return known[answer] end
  end
end

function request()
  at = at % #prepared + 1
  return prepared[at]
end

function response(status, _, body)
  if status ~= 200 or not right(body) then
    wrong = wrong + 1
    example = status .. " " .. body:sub(1, 300)
  end
end

function done(summary, latency)
  local all, seen = 0, ""
  for _, thread in ipairs(threads) do
    all = all + thread:get("wrong")
    if thread:get("example") ~= "" then seen = thread:get("example") end
  end
  local e = summary.errors
  io.write(string.format(
    '\nRESULT {"requests":%d,"microseconds":%d,"p50":%d,"p99":%d,"socket_errors":%d,"refusals":%d,"wrong":%d}\nSEEN %s\n',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
    e.connect + e.read + e.write + e.timeout, e.status, all, seen:gsub("%c", " ")))
end
