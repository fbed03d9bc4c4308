// The same frames by simdjson's On-Demand parser in C++, as favourably as can be: frames padded
// beforehand, keys taken in the order in which they come, nothing of the rest looked at, no Python.
// Prices and sizes become int64 in units of 1e-8 by the plainest loop, which is faster than
// simdjson's own get_double_in_string(). Numbers of messages become doubles by get_double().

#include <cmath>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <simdjson.h>

namespace ondemand = simdjson::ondemand;

namespace {

constexpr int LEVELS = 100;

struct Side {
  int n;
  int64_t price[LEVELS], size[LEVELS];
};

struct Book {
  int64_t ts;
  Side bids, asks;
};

std::vector<simdjson::padded_string> held;
ondemand::parser parser;
Book book;

int64_t e8(ondemand::raw_json_string text) {
  static const int64_t powers[] = {1,         10,        100,        1'000,      10'000,
                                   100'000,   1'000'000, 10'000'000, 100'000'000};
  const char *at = text.raw();
  int64_t value = 0;
  int decimals = 8;
  for (; unsigned(*at - '0') < 10; at++) value = 10 * value + (*at - '0');
  if (*at == '.')
    for (at++; unsigned(*at - '0') < 10 && decimals > 0; at++, decimals--)
      value = 10 * value + (*at - '0');
  if (*at != '"') throw simdjson::simdjson_error(simdjson::NUMBER_ERROR);
  return value * powers[decimals];
}

void read(ondemand::array levels, Side &side) {
  int n = 0;
  for (ondemand::object level : levels) {
    if (n == LEVELS) throw simdjson::simdjson_error(simdjson::CAPACITY);
    side.price[n] = e8(level.find_field("pr").get_raw_json_string());
    side.size[n] = e8(level.find_field("sz").get_raw_json_string());
    n++;
  }
  side.n = n;
}

void apply(const simdjson::padded_string &frame) {
  ondemand::document document = parser.iterate(frame);
  if (document.find_field("dt").get_int64() != 32)
    throw simdjson::simdjson_error(simdjson::INCORRECT_TYPE);
  ondemand::object data = document.find_field("d");
  std::string_view symbol = data.find_field("s");
  if (symbol != "BTCUSD") throw simdjson::simdjson_error(simdjson::INCORRECT_TYPE);
  read(data.find_field("asks"), book.asks);
  read(data.find_field("bids"), book.bids);
  book.ts = data.find_field("ts").get_int64();
}

// Keys of the numbers, in the order in which they come: before the symbol and behind it.
constexpr std::string_view TICKER_BEFORE[] = {"uv", "mp", "lp", "ip", "delta", "h", "l",
                                              "iv", "theta", "cp", "pr0", "cr"};
constexpr std::string_view TICKER_BEHIND[] = {"uv24", "v", "v24", "oi", "up", "gamma", "vega"};
constexpr std::string_view CHAIN_BEFORE[] = {"mp", "lp", "delta", "theta", "cp", "biv",
                                             "aiv", "miv", "cr", "bs", "as"};
constexpr std::string_view CHAIN_BEHIND[] = {"v", "ask", "v24", "oi", "upv",
                                             "up", "bid", "gamma", "vega"};
constexpr int TICKER_NUMBERS = 19, CHAIN_NUMBERS = 20, ASK = 12, BID = 17;

struct Ticker {
  char symbol[64];
  double number[TICKER_NUMBERS];
  int64_t rt, ts;
};

struct Chain {
  int n;
  double number[CHAIN_NUMBERS][LEVELS];
  int64_t ts[LEVELS];
  std::string symbol[LEVELS];
};

Ticker ticker;
Chain chain;

void read_ticker(const simdjson::padded_string &frame) {
  ondemand::document document = parser.iterate(frame);
  if (document.find_field("dt").get_int64() != 3)
    throw simdjson::simdjson_error(simdjson::INCORRECT_TYPE);
  ondemand::object data = document.find_field("d");
  int i = 0;
  for (std::string_view key : TICKER_BEFORE) {
    ticker.number[i++] = data.find_field(key).get_double();
    if (i == 1) ticker.rt = data.find_field("rt").get_int64();
  }
  std::string_view symbol = data.find_field("s");
  if (symbol.size() >= sizeof ticker.symbol) throw simdjson::simdjson_error(simdjson::CAPACITY);
  ticker.symbol[symbol.copy(ticker.symbol, sizeof ticker.symbol)] = 0;
  for (std::string_view key : TICKER_BEHIND) ticker.number[i++] = data.find_field(key).get_double();
  ticker.ts = data.find_field("ts").get_int64();
}

void read_chain(const simdjson::padded_string &frame) {
  ondemand::document document = parser.iterate(frame);
  if (document.find_field("dt").get_int64() != 4)
    throw simdjson::simdjson_error(simdjson::INCORRECT_TYPE);
  int n = 0;
  for (ondemand::object row : document.find_field("d").get_array()) {
    if (n == LEVELS) throw simdjson::simdjson_error(simdjson::CAPACITY);
    int i = 0;
    for (std::string_view key : CHAIN_BEFORE) chain.number[i++][n] = row.find_field(key).get_double();
    chain.symbol[n] = std::string_view(row.find_field("s"));
    for (std::string_view key : CHAIN_BEHIND) chain.number[i++][n] = row.find_field(key).get_double();
    for (int quote : {ASK, BID})
      if (chain.number[quote][n] == 0) chain.number[quote][n] = NAN;
    chain.ts[n++] = row.find_field("ts").get_int64();
  }
  chain.n = n;
}

// Reads frame i, or with -1 all of them in turn: what is timed. Returns how many were read.
template <void READ(const simdjson::padded_string &)>
int read_frames(int i) {
  int done = 0;
  try {
    if (i >= 0) {
      READ(held.at(i));
      return 1;
    }
    for (const auto &frame : held) {
      READ(frame);
      done++;
    }
  } catch (const std::exception &) {
  }
  return done;
}

}  // namespace

extern "C" {

void forget_frames() { held.clear(); }

void hold_frame(const char *text, size_t length) { held.emplace_back(text, length); }

int apply_frames(int i) { return read_frames<apply>(i); }
int read_tickers(int i) { return read_frames<read_ticker>(i); }
int read_chains(int i) { return read_frames<read_chain>(i); }

const Book *last_book() { return &book; }
const Ticker *last_ticker() { return &ticker; }
const double *last_numbers() { return chain.number[0]; }
const int64_t *last_times() { return chain.ts; }
int last_rows() { return chain.n; }
const char *last_symbol(int i) { return chain.symbol[i].c_str(); }

}
