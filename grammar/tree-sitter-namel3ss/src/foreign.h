// Declarations of the wider language. Their text is not read: it runs to the closing brace in the first column, whatever
// stands between.

#ifndef NAMEL3SS_FOREIGN_H_
#define NAMEL3SS_FOREIGN_H_

#include "characters.h"

// Known by their word alone. Other words are foreign where their line opens a brace.
static const char *const FOREIGN_WORDS[] = {
  "agent",     "app",      "component", "connector", "dataset",          "endpoint", "eval_suite", "experiment",
  "fn",        "frame",    "function",  "graph",     "guardrail",        "index",    "knowledge",  "language_version",
  "memory",    "metric",   "model",     "module",    "page",             "policy",   "query",      "rag_pipeline",
  "template",  "test",     "theme",     "tool",      "training",         "workflow",
};

static bool is_foreign_word(const Prefix *word) {
  for (unsigned number = 0; number < sizeof FOREIGN_WORDS / sizeof *FOREIGN_WORDS; number++) {
    if (equals(word, FOREIGN_WORDS[number])) return true;
  }
  return false;
}

// What was read of a foreign declaration: the braces, and the border of the first own declaration in the first column.
typedef struct {
  TSLexer *lexer;
  int depth;
  bool found_own;
  int own_depth;
} Walk;

static void step_over(Walk *walk) {
  if (next(walk->lexer) == '{') walk->depth++;
  if (next(walk->lexer) == '}') walk->depth--;
  take(walk->lexer);
}

static void skip_line(Walk *walk) {
  while (!at_end(walk->lexer) && next(walk->lexer) != '\n') step_over(walk);
}

// Whether `key:` stands here.
static bool is_key_ahead(Walk *walk) {
  while (is_name(next(walk->lexer))) step_over(walk);
  while (is_blank(next(walk->lexer))) step_over(walk);
  return next(walk->lexer) == ':';
}

// At the start of a line: whether an own declaration must begin on it. Takes some of the line.
static bool begins_own(Walk *walk) {
  TSLexer *lexer = walk->lexer;
  Prefix word = {0};
  take_name(lexer, &word);
  bool blanks = take_blanks(lexer);
  if (equals(&word, "ai") && blanks) {
    Prefix second = {0};
    take_name(lexer, &second);
    return equals(&second, "model") && !is_key_ahead(walk);
  }
  if (!equals(&word, "llm") && !equals(&word, "prompt") && !equals(&word, "chain") && !equals(&word, "server") &&
      !equals(&word, "gateway")) {
    return false;
  }
  int32_t c = next(lexer);
  if (c != '{' && c != '<' && !(blanks && (is_name_start(c) || c == '"' || c == '\''))) return false;
  step_over(walk);
  return !is_key_ahead(walk);
}

// Take the lines up to the closing brace in the first column. False where there is none, or where it closes the own
// declaration that begins before it.
static bool take_body(Walk *walk) {
  while (!at_end(walk->lexer)) {
    take(walk->lexer); // the end of the line before
    int depth = walk->depth;
    if (next(walk->lexer) == '}') {
      if (walk->found_own && depth - walk->own_depth == 1) return false;
      step_over(walk);
      walk->lexer->mark_end(walk->lexer);
      return true;
    }
    if (!walk->found_own && begins_own(walk)) {
      walk->found_own = true;
      walk->own_depth = depth;
    }
    skip_line(walk);
  }
  return false;
}

// The line of a head: whether it opens a brace, closes all that it opens, and has any text.
typedef struct {
  bool opens;
  bool closed;
  bool has_text;
} HeadLine;

static void add_to_head(HeadLine *head, Walk *walk) {
  int32_t c = next(walk->lexer);
  step_over(walk);
  head->has_text = true;
  head->opens = head->opens || c == '{';
  if (!is_blank(c) && c != '\r') head->closed = c == '}' && walk->depth == 0;
}

// Braces between quotes open nothing, but a quote that is never closed is a character like any other.
static void add_quoted(HeadLine *head, Walk *walk) {
  int32_t quote = next(walk->lexer);
  HeadLine plain = *head;
  Walk walk_plain = *walk;
  add_to_head(&plain, &walk_plain);
  while (!at_end(walk->lexer) && next(walk->lexer) != '\n') {
    int32_t c = next(walk->lexer);
    add_to_head(&plain, &walk_plain);
    if (c == quote) {
      head->has_text = true;
      head->closed = false;
      return;
    }
    if (c == '\\' && next(walk->lexer) != '\n') add_to_head(&plain, &walk_plain);
  }
  *head = plain;
  *walk = walk_plain;
}

// Take the rest of the head's line, and mark where it ends before its comment.
static HeadLine take_head(Walk *walk) {
  TSLexer *lexer = walk->lexer;
  HeadLine head = {0};
  bool blank = false;
  while (!at_end(lexer) && next(lexer) != '\n') {
    int32_t c = next(lexer);
    if (c == '#' && blank) break;
    blank = is_blank(c);
    if (blank || c == '\r') {
      lexer->advance(lexer, !head.has_text);
      continue;
    }
    if (c == '"' || c == '\'') add_quoted(&head, walk);
    else add_to_head(&head, walk);
    lexer->mark_end(lexer);
  }
  while (!at_end(lexer) && next(lexer) != '\n') take(lexer);
  return head;
}

typedef enum { FOREIGN_WITH_TEXT, FOREIGN_WITHOUT_TEXT, FOREIGN_BROKEN } Foreign;

// Take the text of a foreign declaration whose keyword is taken; `lines` is whether it has more than one.
static Foreign take_foreign_text(TSLexer *lexer, bool *lines) {
  Walk walk = {.lexer = lexer};
  lexer->mark_end(lexer);
  HeadLine head = take_head(&walk);
  *lines = false;
  if (!head.opens || head.closed) {
    // Only a brace that begins the next line can still open the block.
    while (is_space(next(lexer)) && !at_end(lexer)) lexer->advance(lexer, !head.has_text);
    if (next(lexer) != '{') return head.has_text ? FOREIGN_WITH_TEXT : FOREIGN_WITHOUT_TEXT;
    skip_line(&walk);
  }
  *lines = true;
  return take_body(&walk) ? FOREIGN_WITH_TEXT : FOREIGN_BROKEN;
}

#endif // NAMEL3SS_FOREIGN_H_
