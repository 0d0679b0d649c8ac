// The tokens of the `.ai` language.
//
// What may come next is the parser's to say (`wanted`), as in ../../namel3ss.lark: a token is looked for only where the
// grammar can go on with it, so a word may be a key in one place and a value in another. Almost every token depends on
// what stands around it; tree-sitter's own patterns cannot look there, so all of them are cut here and in the headers
// beside this file.

#include "heads.h"
#include "state.h"
#include "strings.h"
#include "tree_sitter/alloc.h"
#include "words.h"

static bool scan_mark(TSLexer *lexer, State *state, enum TokenKind kind) {
  take(lexer);
  lexer->mark_end(lexer);
  if (kind == LESS || kind == GREATER) state->in_angles = kind == LESS;
  return found(lexer, kind);
}

// The marks that may also begin a word, where no word is wanted.
static bool scan_mark_between_values(TSLexer *lexer, State *state, const bool *wanted) {
  int32_t c = next(lexer);
  if (c == '<' && wanted[LESS]) return scan_mark(lexer, state, LESS);
  if (c == '>' && wanted[GREATER]) return scan_mark(lexer, state, GREATER);
  if (c == '|' && wanted[CHOICE_BAR]) return scan_mark(lexer, state, CHOICE_BAR);
  if (c != '=' && c != '?') return false;
  take(lexer);
  lexer->mark_end(lexer);
  if (c == '=') return wanted[EQUALS] && next(lexer) != '=' && found(lexer, EQUALS);
  if (next(lexer) != '?') return wanted[OPTIONAL] && found(lexer, OPTIONAL);
  take(lexer);
  lexer->mark_end(lexer);
  return wanted[OTHERWISE] && found(lexer, OTHERWISE);
}

static bool scan_name(TSLexer *lexer) {
  while (is_name(next(lexer))) take(lexer);
  lexer->mark_end(lexer);
  int32_t c = next(lexer);
  return (at_end(lexer) || is_space(c) || c == '{' || c == '<') && found(lexer, NAME);
}

static bool scan_entry(TSLexer *lexer, const State *state) {
  Prefix word = {0};
  take_name(lexer, &word);
  lexer->mark_end(lexer);
  bool blanks = take_blanks(lexer);
  if (equals(&word, "step") && blanks && next(lexer) != ':') return is_step(lexer) && found(lexer, STEP);
  return is_key(lexer, state) && found(lexer, KEY);
}

// A name where tree-sitter looks for a way out of an error: the head of a declaration in the first column, a key, a step or
// a value.
static bool scan_any_name(TSLexer *lexer, State *state, const bool *wanted, bool first_column) {
  Word word = {0};
  for (; is_name(next(lexer)); take(lexer)) add(&word, next(lexer));
  lexer->mark_end(lexer);
  bool blanks = take_blanks(lexer);
  if (next(lexer) == ':') return found(lexer, is_key(lexer, state) ? KEY : WORD);
  if (!blanks && !ends_word(lexer) && next(lexer) != '{' && next(lexer) != '<') {
    return scan_word(lexer, state, wanted, word);
  }
  if (first_column) {
    enum TokenKind kind = keyword_of(&word.text);
    Prefix second = {0};
    if (equals(&word.text, "ai")) {
      take_name(lexer, &second);
      if (equals(&second, "model")) kind = AI_MODEL, lexer->mark_end(lexer);
    }
    int32_t c = next(lexer);
    bool is_head = is_blank(c) || is_name_start(c) || c == '{' || c == '<' || c == '"' || c == '\'';
    if (kind != ERROR_SENTINEL && is_head) {
      state->in_angles = false;
      return found(lexer, kind);
    }
  }
  if (equals(&word.text, "step") && blanks && is_step(lexer)) return found(lexer, STEP);
  enum TokenKind kind = kind_of(&word, wanted);
  return kind != ERROR_SENTINEL && found(lexer, kind);
}

// A bar at the end of its line is that of a block text, also where none may stand.
static bool scan_bar(TSLexer *lexer, State *state, const bool *wanted) {
  Word bar = {0};
  add(&bar, next(lexer));
  take(lexer);
  lexer->mark_end(lexer);
  if (!is_blank(next(lexer)) && !at_line_end(lexer)) return scan_word(lexer, state, wanted, bar);
  enum TokenKind kind = is_text_bar(lexer, state) ? TEXT_BAR : WORD;
  return wanted[kind] && found(lexer, kind);
}

static bool scan_token(TSLexer *lexer, State *state, const bool *wanted, bool first_of_line) {
  static const char marks[] = "{}[],";
  static const enum TokenKind kinds[] = {LEFT_BRACE, RIGHT_BRACE, LEFT_BRACKET, RIGHT_BRACKET, COMMA};
  bool in_error = wanted[ERROR_SENTINEL];
  int32_t c = next(lexer);
  for (unsigned number = 0; marks[number]; number++) {
    if (c == marks[number]) return wanted[kinds[number]] && scan_mark(lexer, state, kinds[number]);
  }
  if (c == '"' || c == '\'') return wanted[STRING_START] && scan_string_start(lexer, state, wanted);
  if (c == '|' && wanted[WORD]) return scan_bar(lexer, state, wanted);
  if (is_name_start(c)) {
    if (in_error) return scan_any_name(lexer, state, wanted, first_of_line && !state->indentation);
    if (wanted[NAME]) return scan_name(lexer);
    if (wanted[KEY]) return scan_entry(lexer, state);
    if (wanted[LLM]) return scan_head(lexer, state);
  }
  Word word = {0};
  if (wanted[WORD] && !in_error) return scan_word(lexer, state, wanted, word);
  if (in_error && c != ':' && c != '=' && c != '?' && (c != '>' || !state->in_angles)) {
    return scan_word(lexer, state, wanted, word);
  }
  if (c == ':') return !first_of_line && scan_colon(lexer, wanted); // never apart from its key
  return scan_mark_between_values(lexer, state, wanted);
}

static bool scan(TSLexer *lexer, State *state, const bool *wanted) {
  if (state->quote) return scan_in_string(lexer, state);
  if (state->in_text) return scan_block_text(lexer, state);
  if (wanted[FOREIGN_TEXT] && !wanted[ERROR_SENTINEL]) return scan_foreign_text(lexer, state);
  bool after_blank, first_of_line;
  skip_blanks(lexer, state, &after_blank, &first_of_line);
  lexer->mark_end(lexer);
  if (at_end(lexer)) return false;
  if (next(lexer) == '#' && after_blank) return scan_comment(lexer);
  return scan_token(lexer, state, wanted, first_of_line);
}

// --- what tree-sitter calls ------------------------------------------------------------------------------------------

void *tree_sitter_namel3ss_external_scanner_create(void) { return ts_calloc(1, sizeof(State)); }

void tree_sitter_namel3ss_external_scanner_destroy(void *payload) { ts_free(payload); }

unsigned tree_sitter_namel3ss_external_scanner_serialize(void *payload, char *buffer) {
  const State *state = payload;
  buffer[0] = (char)(state->indentation & 0xff);
  buffer[1] = (char)(state->indentation >> 8);
  buffer[2] = (char)state->quote;
  buffer[3] = (char)(state->in_text | state->in_angles << 1 | state->begins_entry << 2 | state->begun << 3);
  return 4;
}

void tree_sitter_namel3ss_external_scanner_deserialize(void *payload, const char *buffer, unsigned length) {
  State state = {0};
  if (length == 4) {
    state.indentation = (uint16_t)((unsigned char)buffer[0] | (unsigned char)buffer[1] << 8);
    state.quote = (uint8_t)buffer[2];
    state.in_text = buffer[3] & 1;
    state.in_angles = buffer[3] & 2;
    state.begins_entry = buffer[3] & 4;
    state.begun = buffer[3] & 8;
  }
  *(State *)payload = state;
}

bool tree_sitter_namel3ss_external_scanner_scan(void *payload, TSLexer *lexer, const bool *wanted) {
  State state = *(State *)payload;
  if (!scan(lexer, &state, wanted)) return false;
  TSSymbol kind = lexer->result_symbol;
  if (kind != COMMENT) state.begins_entry = kind == LEFT_BRACE || kind == LESS || kind == COMMA;
  state.begun = true;
  *(State *)payload = state;
  return true;
}
