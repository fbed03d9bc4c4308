/* Edits of frames and answers that hold rows: their keys, the values of these, and their order.
 *
 * A value of the wrong kind, a key that comes twice, two keys for one attribute, a number that is
 * too long for the quick way: bytes at random hardly ever make these.
 */
#include <stdio.h>
#include <string.h>

#include "edits.h"
#include "harness.h"

enum { FIELDS = 512, LONGEST = 5000 };

typedef struct { Span key, value; } Field;

/* A channel, or the letter of an answer (check_message.CLASSES), and its keys. */
static const struct { const char *code, *keys; } ROWS_OF[] = {
    {"2", "high s low pe v close open ts"},
    {"31", "high s low pe v close open ts"},
    {"3", "uv tv tva rt mp lp ip delta h l iv theta cp pr0 cr s uv24 v v24 oi up gamma vega ts"},
    {"30", "pr lp mp ip h l cp cr pr0 s cv oi uv24 v24 ts"},
    {"4", "mp lp delta theta cp biv aiv miv cr bs as bv av s v tv ask bid v24 oi upv up gamma "
          "vega ts"},
    {"4", "s bid ask biv aiv bs as ts"},
    {"6", "q sd pr s v ts"},
    {"33", "q sd pr s v ts"},
    {"24", "symbol matchPrice matchQty matchValue tradeId tradeSide tradeTime"},
    {"43", "symbol matchPrice matchQty matchValue tradeId tradeSide tradeTime"},
    {"7", "mm uid u ab dv assets im e mb delta btcv wb upnl atwt ts"},
    {"8", "s et ts"},
    {"34", "s et ts"},
    {"11", "oid coid uid s rq fq cq q pr mpr mq ap si ty ct ts ro le it os tif"},
    {"35", "oid coid uid s rq fq cq q pr mpr mq ap si ty ct ts ro le it os tif"},
    {"12", "q ap im mm s si uid upnl elp mp lp le os delta gamma theta vega rho ts tim"},
    {"19", "q ap im mm s si uid upnl os"},
    {"27", "q ap im mm s si uid upnl os ts"},
    {"36", "q ap elp im mm mp s si uid upnl le lp os ctp"},
    {"46", "q ap elp im mm mp s si uid upnl le lp os ctp"},
    {"15", "clientOrderId feeRate isTaker matchPrice matchQty matchValue orderId orderSide remainQty "
           "symbol tradeId tradeTime"},
    {"38", "coid fr tf it mpr mq mv oid si rq s tid ts"},
    {"44", "symbol ts"},
    {"5", "s asks bids ts"},
    {"0", "orderId id clientOrderId userId symbol qty price remainQty fillQty avgPrice tradeSide "
          "tradeType createTime updateTime reduceOnly leverage isTaker state timeInForce "
          "initMargin indexPrice triggerPrice fee rpnl"},
    {"1", "tradeId orderId clientOrderId symbol tradeSide price qty fee isTaker time id"},
    {"2", "symbol price qty tradeId tradeSide time"},
    {"3", "symbol qty tradeSide avgPrice markPrice lastPrice initMargin maintMargin elp upnl "
          "leverage delta gamma theta vega rho userId indexPrice updateTime"},
    {"4", "symbol markPrice lastPrice price indexPrice underlyingPrice iv delta gamma theta vega "
          "openInterest price24hHigh price24hLow price24hOpen changePrice changeRate volume "
          "volume24h volumeUsd volumeUsd24h remainTime"},
    {"5", "symbol period open high low close volume time"},
    {"6", "equity equityAmount marginBalance availableMargin availableBalance canWithdrawAmount "
          "imAmount mmAmount unrealizedPnL unrealizedAmount totalDollarValue dollarValue "
          "totalBtcValue btcValue delta accounts accountId"},
    {"7", "symbol markPrice lastPrice bid ask bidSize askSize bidIv askIv markIv delta gamma theta "
          "vega changePrice changeRate volume openInterest underlyingPrice"},
};
enum { ANSWERS_FROM = 24 }; /* the first of them that is an answer's */

static const char *const TEXTS_OF[] = {"s", "symbol", "pe", "period"};

static const char *const SYMBOLS[] = {
    "\"BTCUSD\"", "\"BTCUSD-27MAY23-24000-C\"", "\"BTCUSD-27MAY23-24000-P\"",
    "\"XRPUSD-4JUL23-0.1250-P\"", "\"ETHUSD-2JUN23-1925.00-C\"", "\"BTCUSD-27MAY23-24000-X\"",
    "\"m1\"", "\"ARBUSD\"", "\"A-B-1-C\"", "\"BTCUSD-27MAY23-240000000000000000000000000000-C\"",
    "\"abcdefghijklmnopqrstuvwxyz0123456789\"", "\"abcdefg\"", "\"abcdefgh\"",
    "\"0123456789012345678901234567890\"", "\"01234567890123456789012345678901\"", "\" BTCUSD \"",
    "\"BTCUS\\u0044\"", "\"\xe2\x82\xac\"", "\"\\ud83d\\ude00\"", "\"\\ud83d\"", "\"\\u0020\"",
    "\" \"", "\"\"", "\"\\n\"", "\"a\\\"b\"", "\"0\"", "null", "1", "true",
};

static const char *const ODD_VALUES[] = {
    "0", "1", "2", "-1", "5", "10", "14", "-2", "-10", "3", "\"0\"", "\"1\"", "\"2\"", "\"5\"",
    "\"-10\"", "\"3\"", "true", "false", "\"true\"", "\"false\"", "\"True\"", "null", "\"\"",
    "\" \"", "\"  \"", "\"null\"", "{}", "[]", "[1]", "{\"a\":1}",
    "[{\"coin\":\"BTC\",\"availableBalance\":\"1.5\"}]", "\"GTC\"", "\"IOC\"", "\"FOK\"",
    "\"GTD\"", "\"POST_ONLY\"", "\"BUY\"", "\"SELL\"", "\"buy\"", "\" BUY \"", "\"OPEN\"",
    "\"-\"", "\"--5\"", "\"007\"", "\"+1\"", "\"1_0\"", "\"NaN\"", "\"Infinity\"", "\"nan\"",
    "\"1 2\"", "1.0", "1e3", "\"1.0\"", "\"1e3\"", "1.5", "\"1.5\"", "-0", "\"-0\"", "-0.0",
    "0.0", "\"0.00\"", "0E-8", "1.05E-4", "-5.4e-7", "1E+1", "\"1.05E-4\"", "1e300", "9.99e299",
    "1e299", "1.7976931348623157E308", "1.7976931348623157E309", "-1e300", "-1e999", "1e999",
    "1e-999", "-1e-999", "5e-324", "2.2250738585072014e-308", "2.2250738585072011e-308", "1e22",
    "1e23", "9007199254740993", "9007199254740993.0", "90071992547409.93",
    "1e99999999999999999999", "1e-99999999999999999999", "0.1", "0.12345678", "0.123456789",
    "12345678.12345678", "123456789.12345678", "99999999.99999999", "0.30000000000000004",
    "26498.05", "\"26498.05\"", "\"0.40000000 \"", "\" 7\"", "\" 7 \"", "\"7\\t\"", "\"\\t7\"",
    "\"\\u0037\"", "\"\\u0020\\u0037\"", "\"7\\u0020\"", "\"\\u0031e3\"", "\"\\u0047TC\"",
    "\"\\ud83d\"", "\"\\u0020\"", "1663820914095300608", "\"1663820914095300608\"",
    "9223372036854775807", "9223372036854775808", "-9223372036854775808", "-9223372036854775809",
    "18446744073709551615", "18446744073709551616", "999999999999999999", "1000000000000000000",
    "9999999999999999999", "99999999999999999999", "38171299999999999999999999999999999999",
    "1685092534839", "\"1685092534839\"", "1.", ".5", "01", "00", "-", "1e", "tru", "nul", "NaN",
    "\"a", "1 1",
};

/* -------------------------------------------------------------------------------------- fields */

static size_t after_string(size_t at, size_t to) {
    for (at++; at < to && text[at] != '"'; at++)
        if (text[at] == '\\') at++;
    return at < to ? at + 1 : to;
}

static int is_blank(uint8_t c) { return c == ' ' || c == '\n' || c == '\r' || c == '\t'; }

/* Keys and their values, those of lists and objects up to the end of what is innermost first. */
static int find_fields(Span within, Field *fields) {
    int n = 0;
    size_t at = within.from;
    while (at < within.to && n < FIELDS) {
        size_t to, depth = 0;
        if (text[at] != '"') {
            at++;
            continue;
        }
        fields[n].key.from = at;
        fields[n].key.to = at = after_string(at, within.to);
        while (at < within.to && is_blank(text[at])) at++;
        if (at == within.to || text[at] != ':') continue;
        at++;
        while (at < within.to && is_blank(text[at])) at++;
        for (to = at; to < within.to; to++) {
            if (text[to] == '"') {
                to = after_string(to, within.to) - 1;
                continue;
            }
            if (!depth && (text[to] == ',' || text[to] == '}' || text[to] == ']')) break;
            if (text[to] == '{' || text[to] == '[') depth++;
            if ((text[to] == '}' || text[to] == ']') && --depth == 0) {
                to++;
                break;
            }
        }
        if (to > within.to) to = within.to;
        fields[n].value.from = at;
        fields[n++].value.to = to;
        if (at < to && text[at] == '"') at = to; /* else there may be fields in it */
    }
    return n;
}

/* A field with the comma behind or before it. */
static Span with_comma(Field field) {
    Span whole = {field.key.from, field.value.to};
    if (whole.to < length && text[whole.to] == ',')
        whole.to++;
    else if (whole.from && text[whole.from - 1] == ',')
        whole.from--;
    return whole;
}

/* -------------------------------------------------------------------------------------- values */

static size_t put_digits(char *out, size_t n) {
    for (size_t i = 0; i < n; i++) out[i] = (char)('0' + below(10));
    if (out[0] == '0') out[0] = '1';
    return n;
}

/* A number of any length, around those lengths at which its way changes. */
static size_t put_number(char *out, int quoted) {
    static const size_t LENGTHS[] = {1,  2,  7,  8,  9,  15,  16,  17,  18,   19,   20,
                                     21, 40, 63, 64, 65, 639, 640, 641, 4299, 4300, 4301};
    size_t used = 0, whole = 1 + below(9), rest = below(3) ? below(10) : 0;
    if (below(4) == 0) { /* as many digits as a float has, and a few more */
        whole = 1 + below(19);
        rest = below(21 - whole);
    }
    if (below(40) == 0) whole = ANY(LENGTHS);
    if (below(100) == 0) rest = ANY(LENGTHS) % 700;
    if (quoted) out[used++] = '"';
    if (quoted && below(20) == 0) out[used++] = ' ';
    if (below(8) == 0) out[used++] = '-';
    if (below(6) == 0)
        out[used++] = '0';
    else
        used += put_digits(out + used, whole);
    if (rest) {
        out[used++] = '.';
        used += put_digits(out + used, rest);
        if (below(3) == 0) out[used - 1] = '0';
    }
    if (below(16) == 0)
        used += (size_t)sprintf(out + used, "%c%s%d", "eE"[below(2)], below(2) ? "-" : "",
                                (int)(below(4) ? below(30) : below(330)));
    if (quoted && below(20) == 0) out[used++] = ' ';
    if (quoted) out[used++] = '"';
    return used;
}

static int is_key_of_text(const char *key, size_t n) {
    for (size_t i = 0; i < sizeof TEXTS_OF / sizeof *TEXTS_OF; i++)
        if (strlen(TEXTS_OF[i]) == n && !memcmp(TEXTS_OF[i], key, n)) return 1;
    return 0;
}

/* A value for a key, mostly of the kind that it has. */
static size_t put_value(char *out, const char *key, size_t n) {
    const char *odd = ANY(ODD_VALUES);
    size_t used;
    if (is_key_of_text(key, n)) odd = below(4) ? SYMBOLS[below(10)] : ANY(SYMBOLS);
    else if (below(3)) return put_number(out, below(2) == 0);
    used = strlen(odd);
    memcpy(out, odd, used);
    return used;
}

/* ----------------------------------------------------------------------------------------- edits */

/* A row of a kind, most of its keys in it. */
static size_t put_row(char *out, const char *keys, unsigned dropped) {
    size_t used = 0;
    int sane = below(3) != 0;
    out[used++] = '{';
    while (*keys && used < 2000) {
        size_t n = strcspn(keys, " ");
        if (below(10) >= dropped) {
            used += (size_t)sprintf(out + used, "%s\"%.*s\":", used > 1 ? "," : "", (int)n, keys);
            if (sane && !is_key_of_text(keys, n)) /* what no attribute refuses */
                used += (size_t)sprintf(out + used, below(2) ? "%d" : "\"%d\"", (int)below(2));
            else
                used += put_value(out + used, keys, n);
        }
        keys += n + (keys[n] == ' ');
    }
    out[used++] = '}';
    return used;
}

/* Two options under one strike. */
static size_t put_pair(char *out, const char *keys) {
    size_t used = (size_t)sprintf(out, "{\"strike\":24000,\"callOption\":");
    used += put_row(out + used, keys, 8);
    if (below(4)) {
        used += (size_t)sprintf(out + used, ",\"putOption\":");
        used += put_row(out + used, keys, 8);
    }
    out[used++] = '}';
    return used;
}

/* A legal frame or answer, but for its values: in place of a step, or behind the last one. */
static void fresh_rows(const Span *steps, int n) {
    static char frame[8 * LONGEST];
    size_t used = 0, i = below(sizeof ROWS_OF / sizeof *ROWS_OF);
    unsigned dropped = (unsigned)below(3) * 4;
    const char *const code = ROWS_OF[i].code, *const keys = ROWS_OF[i].keys;
    int is_answer = i >= ANSWERS_FROM, rows = below(2) ? 1 : (int)below(4);
    int bare = rows == 1 && below(2), listed = is_answer && !bare && below(2);
    int time_first = below(8) == 0, code_last = !is_answer && below(8) == 0;
    if (is_answer) {
        frame[used++] = (char)CALL;
        frame[used++] = 'r';
        frame[used++] = *code;
        used += (size_t)sprintf(frame + used, "{\"code\":0,\"msg\":null,\"data\":%s",
                                listed ? "{\"list\":" : "");
    } else {
        used = (size_t)sprintf(frame, "{%s", time_first ? "\"ts\":7," : "");
        if (!code_last) used += (size_t)sprintf(frame + used, "\"dt\":%s,\"c\":20,", code);
        used += (size_t)sprintf(frame + used, "\"d\":");
    }
    if (!bare) frame[used++] = '[';
    while (rows--) {
        used += is_answer && *code == '7' ? put_pair(frame + used, keys)
                                          : put_row(frame + used, keys, dropped);
        if (rows) frame[used++] = ',';
        if (used > 4 * LONGEST) break;
    }
    if (!bare) frame[used++] = ']';
    if (listed) frame[used++] = '}';
    if (code_last) used += (size_t)sprintf(frame + used, ",\"dt\":%s", code);
    if (!is_answer && !time_first && below(3) == 0)
        used += (size_t)sprintf(frame + used, ",\"ts\":%d", 1000 + (int)below(3));
    frame[used++] = '}';
    if (n < STEPS && below(2)) {
        uint8_t end = END_OF_STEP;
        if (length + used + 1 <= room) insert(length, &end, 1) && insert(length, frame, used);
    } else {
        replace(steps[below((size_t)n)], frame, used);
    }
}

static void change_key(Field field) {
    const char *keys = ROWS_OF[below(sizeof ROWS_OF / sizeof *ROWS_OF)].keys;
    char key[40];
    size_t skipped = below(24), n;
    while (skipped-- && strchr(keys, ' ')) keys = strchr(keys, ' ') + 1;
    n = (size_t)sprintf(key, "\"%.*s\"", (int)strcspn(keys, " "), keys);
    replace(field.key, key, n);
}

static void change_value(Field field) {
    static char value[2 * LONGEST];
    size_t n;
    switch (below(4)) {
    case 0: { /* quoted, or no longer */
        Span first = {field.value.from, field.value.from + 1};
        Span last = {field.value.to - 1, field.value.to};
        if (field.value.to - field.value.from < 2 || text[first.from] != '"') {
            if (insert(field.value.to, "\"", 1)) insert(field.value.from, "\"", 1);
        } else {
            cut(last);
            cut(first);
        }
        break;
    }
    case 1: {
        const char *odd = ANY(ODD_VALUES);
        replace(field.value, odd, strlen(odd));
        break;
    }
    case 2:
        n = put_number(value, below(2) == 0);
        replace(field.value, value, n);
        break;
    default:
        n = put_value(value, (const char *)text + field.key.from + 1,
                      field.key.to - field.key.from - 2);
        replace(field.value, value, n);
    }
}

/* A copy of a field, or a new one, before another one. */
static void add_field(Field field, Field other, int is_new) {
    static char copy[2 * LONGEST];
    size_t n = 0;
    if (is_new) {
        const char *keys = ROWS_OF[below(sizeof ROWS_OF / sizeof *ROWS_OF)].keys;
        size_t skipped = below(24);
        while (skipped-- && strchr(keys, ' ')) keys = strchr(keys, ' ') + 1;
        n = (size_t)sprintf(copy, "\"%.*s\":", (int)strcspn(keys, " "), keys);
        n += put_value(copy + n, keys, strcspn(keys, " "));
    } else {
        n = field.value.to - field.key.from;
        if (n > sizeof copy - 1) return;
        memcpy(copy, text + field.key.from, n);
    }
    copy[n++] = ',';
    insert(other.key.from, copy, n);
}

void change_rows(const Span *steps, int n, Span step) {
    static const char *const BETWEEN[] = {" ", "\n", "\t", "  ", "                    ", "\r\n"};
    static Field fields[FIELDS];
    int count = find_fields(step, fields);
    Field field, other;
    if (!count || below(5) == 0) {
        fresh_rows(steps, n);
        return;
    }
    field = fields[below((size_t)count)];
    other = fields[below(2) && count > 1 ? (size_t)count - 1 - below(2) : below((size_t)count)];
    switch (below(10)) {
    case 0: change_key(field); break;
    case 1: cut(with_comma(field)); break;
    case 2: add_field(field, other, 0); break;
    case 3: add_field(field, other, 1); break;
    case 4: { /* to another place */
        Span whole = with_comma(field);
        size_t before = length;
        if (other.key.from >= field.key.from && other.key.from < field.value.to) break;
        add_field(field, other, 0);
        if (other.key.from < field.key.from) {
            whole.from += length - before;
            whole.to += length - before;
        }
        if (length > before) cut(whole);
        break;
    }
    case 5: { /* blanks */
        const char *blanks = ANY(BETWEEN);
        size_t places[] = {field.key.from, field.key.to, field.value.from, field.value.to};
        insert(ANY(places), blanks, strlen(blanks));
        break;
    }
    case 6: { /* another channel, or class of an answer */
        Span code = {step.from, step.from};
        if (text[step.from] == CALL && step.to - step.from > 2 && text[step.from + 1] == 'r') {
            text[step.from + 2] = (uint8_t)('0' + below(8));
            break;
        }
        for (int i = 0; i < count; i++) {
            Span key = fields[i].key;
            if (key.to - key.from == 4 && !memcmp(text + key.from, "\"dt\"", 4))
                code = fields[i].value;
        }
        if (code.to > code.from) {
            const char *other_code = ROWS_OF[below(ANSWERS_FROM)].code;
            replace(code, other_code, strlen(other_code));
        }
        break;
    }
    default: change_value(field);
    }
}
