/**
 * The `.ai` language for tree-sitter. Its rules are those of ../namel3ss.lark; its tokens are cut by src/scanner.c, because
 * almost every one of them depends on what stands around it: on the character behind it, on the indentation of its line, or
 * on whether its block was opened with `{` or `<`.
 *
 * A test of the project compares each token of each file of ../corpus with what the project's own parser says.
 */

/// <reference types="tree-sitter-cli/dsl" />

const hidden = {
  'ai model': '_ai_model',
  'llm': '_llm',
  'prompt': '_prompt',
  'chain': '_chain',
  'server': '_server',
  'gateway': '_gateway',
  'import': '_import',
  'step': '_step',
  'list': '_list',
  '{': '_left_brace',
  '}': '_right_brace',
  '[': '_left_bracket',
  '<': '_less',
  '>': '_greater',
  ',': '_comma',
  '=': '_equals',
  '?': '_optional',
  '??': '_otherwise',
};

/** A token of the scanner that is shown as the text it stands for. */
const tokenOf = ($, text) => alias($[hidden[text]], text);

module.exports = grammar({
  name: 'namel3ss',

  // The order is that of `enum TokenKind` in src/scanner.c.
  externals: $ => [
    $.comment,

    $._ai_model,
    $._llm,
    $._prompt,
    $._chain,
    $._server,
    $._gateway,
    $._import,
    $.foreign_keyword,
    $.foreign_text,
    $._no_foreign_text,

    $.name,
    $._step,
    $.key,
    $._colon,
    $._open_colon,

    $._string_start,
    $.string_content,
    $.escape_sequence,
    $._string_end,
    $._text_bar,
    $.block_text_content,

    $.word,
    $.number,
    $.boolean,
    $.null,
    $.env_variable,
    $.type,
    $._list,

    $._left_brace,
    $._right_brace,
    $._left_bracket,
    // In the grammar itself as well: without a token of its own, tree-sitter makes no lexer, and takes whatever no token
    // fits for the end of the file.
    ']',
    $._less,
    $._greater,
    $._comma,
    $._choice_bar,
    $._equals,
    $._otherwise,
    $._optional,

    // Never part of a rule: where it is wanted as well, tree-sitter is looking for a way out of an error.
    $._error_sentinel,
  ],

  extras: $ => [/[ \t\r\n\f]/, $.comment],

  rules: {
    source_file: $ => repeat(choice($.declaration, $.import, $.foreign_declaration)),

    declaration: $ => seq(
      choice(
        seq(
          field('keyword', choice(tokenOf($, 'ai model'), tokenOf($, 'llm'))),
          optional(field('name', $._name)),
        ),
        seq(
          field('keyword', choice(
            tokenOf($, 'prompt'),
            tokenOf($, 'chain'),
            tokenOf($, 'server'),
            tokenOf($, 'gateway'),
          )),
          field('name', $._name),
        ),
      ),
      field('body', $.block),
    ),

    import: $ => seq(tokenOf($, 'import'), field('path', $.string)),

    // A declaration of the wider language, whose text is not read.
    foreign_declaration: $ => seq(
      field('keyword', $.foreign_keyword),
      choice($.foreign_text, $._no_foreign_text),
    ),

    _name: $ => choice($.name, $.string),

    // `<` and `>` may stand for the braces of a declaration, nowhere else.
    block: $ => choice(
      seq(tokenOf($, '{'), repeat($._entry), tokenOf($, '}')),
      seq(tokenOf($, '<'), repeat($._entry), tokenOf($, '>')),
    ),
    map: $ => seq(tokenOf($, '{'), repeat($._entry), tokenOf($, '}')),

    // A comma after an entry is always allowed.
    _entry: $ => seq(choice($.pair, $.step), optional(tokenOf($, ','))),
    pair: $ => seq(
      field('key', choice($.key, $.string)),
      choice(
        seq(alias($._colon, ':'), field('value', choice($._value, $.block_text))),
        // Nothing else stands on the line.
        seq(alias($._open_colon, ':'), field('value', choice($.map, $.list))),
      ),
    ),
    step: $ => seq(tokenOf($, 'step'), field('name', $._name), field('body', $.map)),

    _value: $ => choice(
      $._scalar,
      $.list,
      $.map,
      $.env_reference,
      $.list_type,
      $.choice_type,
      $.optional_type,
      $.defaulted_type,
    ),
    _scalar: $ => choice($.word, $.string, $.number, $.boolean, $.null),

    string: $ => seq(
      alias($._string_start, '"'),
      repeat(choice($.string_content, $.escape_sequence)),
      alias($._string_end, '"'),
    ),
    block_text: $ => seq(alias($._text_bar, '|'), $.block_text_content),

    list: $ => seq(
      tokenOf($, '['),
      optional(seq($._value, repeat(seq(tokenOf($, ','), $._value)), optional(tokenOf($, ',')))),
      ']',
    ),

    env_reference: $ => seq(
      $.env_variable,
      repeat(seq(tokenOf($, '??'), field('fallback', $.env_variable))),
      optional(seq(tokenOf($, '??'), field('fallback', $._scalar))),
    ),

    // A lone word or a lone map is a type by its place alone.
    list_type: $ => seq(tokenOf($, 'list'), tokenOf($, '['), $._value, ']'),
    choice_type: $ => seq($.string, repeat1(seq(alias($._choice_bar, '|'), $.string))),
    optional_type: $ => seq(
      choice($.type, $.string, $.map, $.list_type, $.choice_type),
      tokenOf($, '?'),
    ),
    defaulted_type: $ => seq(
      choice($.word, $.type, $.string, $.map, $.list_type, $.choice_type, $.optional_type),
      tokenOf($, '='),
      field('default', choice($._scalar, $.list, $.map)),
    ),
  },
});
