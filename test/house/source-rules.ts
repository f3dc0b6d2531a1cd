import { posix } from 'node:path';
import ts from 'typescript';

const MAX_LINES = 300;
const KEBAB_CASE = /^[a-z0-9]+(?:-[a-z0-9]+)*(?:\.(?:test|contract))?\.ts$/;
const SAYS_NOTHING = /^(?:utils?|helpers?|misc|common)(?:\.(?:test|contract))?\.ts$/;

/** One sentence for each habit of this project that a source text breaks. */
export function sourceViolations(path: string, text: string): string[] {
  return [
    ...nameViolations(path),
    ...lengthViolations(path, text),
    ...commentViolations(path, text),
    ...codeViolations(path, text),
  ];
}

function nameViolations(path: string): string[] {
  const name = posix.basename(path);
  if (SAYS_NOTHING.test(name)) return [`${path}: the name does not say what is in it`];
  return KEBAB_CASE.test(name) ? [] : [`${path}: file names are in kebab-case`];
}

function lengthViolations(path: string, text: string): string[] {
  const lines = text.trimEnd().split('\n').length;
  return path.startsWith('src/') && lines > MAX_LINES
    ? [`${path}: ${lines} lines are more than ${MAX_LINES}: find the seam`]
    : [];
}

function commentViolations(path: string, text: string): string[] {
  const source = ts.createSourceFile(path, text, ts.ScriptTarget.Latest, true);
  return commentsOf(source).flatMap(({ comment, line }) => {
    const where = `${path}:${line}`;
    if (/^\W*@ts-(?:ignore|nocheck)\b/.test(comment))
      return [`${where}: no @ts-ignore; @ts-expect-error with a reason, if anything`];
    const isBare = /^\W*eslint-disable(?!.*\s--\s+\S)/s.test(comment);
    return isBare ? [`${where}: an eslint-disable says why after --`] : [];
  });
}

function codeViolations(path: string, text: string): string[] {
  const source = ts.createSourceFile(path, text, ts.ScriptTarget.Latest, true);
  const found: string[] = [];
  const add = (node: ts.Node, message: string): void => {
    found.push(`${path}:${source.getLineAndCharacterOfPosition(node.getStart(source)).line + 1}: ${message}`);
  };
  const visit = (node: ts.Node): void => {
    const isAssertion = ts.isAsExpression(node) || ts.isTypeAssertionExpression(node);
    if (isAssertion && node.type.kind === ts.SyntaxKind.AnyKeyword) add(node, 'no `as any`');
    if (isDefaultExport(node)) add(node, 'no default exports');
    ts.forEachChild(node, visit);
  };
  visit(source);
  return found;
}

function isDefaultExport(node: ts.Node): boolean {
  if (ts.isExportAssignment(node)) return true;
  if (ts.isExportSpecifier(node)) return node.name.text === 'default';
  return (
    ts.canHaveModifiers(node) && ts.getModifiers(node)?.some((m) => m.kind === ts.SyntaxKind.DefaultKeyword) === true
  );
}

/** Every comment once. Asked of the parsed tokens, so that what looks like a comment in a string is none. */
function commentsOf(source: ts.SourceFile): { comment: string; line: number }[] {
  const { text } = source;
  const starts = new Map<number, string>();
  const visit = (node: ts.Node): void => {
    const ranges = [
      ...(ts.getLeadingCommentRanges(text, node.getFullStart()) ?? []),
      ...(ts.getTrailingCommentRanges(text, node.getEnd()) ?? []),
    ];
    // The text of a template or of JSX is no place for comments.
    if (!ts.isTemplateMiddleOrTemplateTail(node))
      for (const { pos, end } of ranges) starts.set(pos, text.slice(pos, end));
    for (const child of node.getChildren(source)) visit(child);
  };
  visit(source);
  return [...starts].map(([pos, comment]) => ({
    comment,
    line: source.getLineAndCharacterOfPosition(pos).line + 1,
  }));
}
