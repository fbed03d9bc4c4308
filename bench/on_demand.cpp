// The same frames by simdjson's On-Demand parser in C++, as favourably as can be: frames padded
// beforehand, keys taken in the order in which they come, nothing of the rest looked at, no Python.
// Prices and sizes become int64 in units of 1e-8 by the plainest loop, which is faster than
// simdjson's own get_double_in_string().

#include <cstdint>
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

}  // namespace

extern "C" {

void forget_frames() { held.clear(); }

void hold_frame(const char *text, size_t length) { held.emplace_back(text, length); }

// Reads frame i, or with -1 all of them in turn: what is timed. Returns how many were read.
int apply_frames(int i) {
  int done = 0;
  try {
    if (i >= 0) {
      apply(held.at(i));
      return 1;
    }
    for (const auto &frame : held) {
      apply(frame);
      done++;
    }
  } catch (const std::exception &) {
  }
  return done;
}

const Book *last_book() { return &book; }

}
