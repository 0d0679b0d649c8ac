// Values without quotes: words, numbers, types and names of variables.

#ifndef NAMEL3SS_WORDS_H_
#define NAMEL3SS_WORDS_H_

#include "state.h"

// How far a number has been read.
typedef enum { SIGN, WHOLE, FIRST_POINT, FRACTION, EXPONENT, EXPONENT_SIGN, EXPONENT_DIGITS, START, NOT_A_NUMBER } Digits;

static Digits with_character(Digits digits, int32_t c) {
  bool digit = is_digit(c), sign = c == '+' || c == '-', point = c == '.', exponent = c == 'e' || c == 'E';
  switch (digits) {
    case START: if (sign) return SIGN; // fall through
    case SIGN: return digit ? WHOLE : point ? FIRST_POINT : NOT_A_NUMBER;
    case WHOLE: return digit ? WHOLE : point ? FRACTION : exponent ? EXPONENT : NOT_A_NUMBER;
    case FIRST_POINT: return digit ? FRACTION : NOT_A_NUMBER;
    case FRACTION: return digit ? FRACTION : exponent ? EXPONENT : NOT_A_NUMBER;
    case EXPONENT: if (sign) return EXPONENT_SIGN; // fall through
    case EXPONENT_SIGN: case EXPONENT_DIGITS: return digit ? EXPONENT_DIGITS : NOT_A_NUMBER;
    case NOT_A_NUMBER: break;
  }
  return NOT_A_NUMBER;
}

static bool is_type(const Prefix *word) {
  return equals(word, "str") || equals(word, "int") || equals(word, "float") || equals(word, "bool") ||
         equals(word, "object");
}

// What was read of a bare word.
typedef struct {
  Prefix text;
  Digits digits;
  bool is_name;     // nothing but a name
  bool is_key;      // a name and a colon
  bool is_variable; // `env.` and a name
} Word;

static void add(Word *word, int32_t c) {
  unsigned length = word->text.length;
  word->digits = with_character(length ? word->digits : START, c);
  word->is_key = word->is_name && c == ':';
  word->is_name = length ? word->is_name && is_name(c) : is_name_start(c);
  word->is_variable = length > 4 ? word->is_variable && (is_name_start(c) || is_digit(c))
                                 : begins_with(&word->text, "env.") && is_name_start(c);
  keep(&word->text, c);
}

static enum TokenKind kind_of(const Word *word, const bool *wanted) {
  if (word->digits == WHOLE || word->digits == FRACTION || word->digits == EXPONENT_DIGITS) return NUMBER;
  if (equals(&word->text, "true") || equals(&word->text, "false")) return BOOLEAN;
  if (equals(&word->text, "null")) return NULL_VALUE;
  if (begins_with(&word->text, "env.")) return word->is_variable && wanted[ENV_VARIABLE] ? ENV_VARIABLE : ERROR_SENTINEL;
  return WORD;
}

// A value without quotes, of which `word` is read. Between `<` and `>` it ends with its last character that is not `>`.
static bool scan_word(TSLexer *lexer, const State *state, const bool *wanted, Word word) {
  Word marked = word;
  while (!ends_word(lexer)) {
    int32_t c = next(lexer);
    if (c == '[' && wanted[LIST] && equals(&word.text, "list")) return found(lexer, LIST);
    if ((c == '?' || c == '=') && wanted[TYPE] && is_type(&word.text)) return found(lexer, TYPE);
    bool may_end_variable = c == '?' && wanted[ENV_VARIABLE] && word.is_variable;
    take(lexer);
    if (may_end_variable && next(lexer) == '?') return found(lexer, ENV_VARIABLE);
    add(&word, c);
    if (c == '>' && state->in_angles) continue;
    lexer->mark_end(lexer);
    marked = word;
  }
  // `key:` with a blank behind it begins the next entry, wherever it stands.
  if (marked.is_key && next(lexer) != ',' && next(lexer) != '}' && next(lexer) != ']') return false;
  enum TokenKind kind = kind_of(&marked, wanted);
  return marked.text.length && wanted[kind] && kind != ERROR_SENTINEL && found(lexer, kind);
}

#endif // NAMEL3SS_WORDS_H_
