/** One line of the table: a figure of ours, the floor measured in the same run, and what is aimed at. */
export interface Figure {
  readonly what: string;
  readonly ours: number;
  /** undefined where there is nothing below to compare with. */
  readonly floor?: number;
  readonly floorIs?: string;
  readonly unit: 'ms' | '/s' | 'MB' | 'x';
  readonly aim?: Aim;
}

/** `most`/`least` are of the ratio ours/floor, or of ours itself when `of` says so. */
export interface Aim {
  readonly of: 'ratio' | 'value';
  readonly most?: number;
  readonly least?: number;
}

export function ratio(figure: Figure): number | undefined {
  return figure.floor === undefined ? undefined : figure.ours / figure.floor;
}

/** undefined when nothing is aimed at. */
export function met(figure: Figure): boolean | undefined {
  const { aim } = figure;
  const value = aim?.of === 'ratio' ? ratio(figure) : figure.ours;
  if (aim === undefined || value === undefined) return undefined;
  return (aim.most === undefined || value <= aim.most) && (aim.least === undefined || value >= aim.least);
}

export function renderTable(figures: readonly Figure[]): string {
  const rows = figures.map((figure) => [
    figure.what,
    number(figure.ours, figure.unit),
    figure.floor === undefined ? '' : number(figure.floor, figure.unit),
    ratio(figure)?.toFixed(2) ?? '',
    aimText(figure),
    { true: 'met', false: 'MISSED', undefined: '' }[String(met(figure))] ?? '',
    figure.floorIs ?? '',
  ]);
  const head = ['figure', 'cuttle', 'floor', 'ratio', 'aim', '', 'the floor is'];
  const widths = head.map((title, column) => Math.max(title.length, ...rows.map((row) => row[column]?.length ?? 0)));
  const line = (cells: readonly string[]) =>
    cells
      .map((cell, column) =>
        column === 0 || column >= 4 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0),
      )
      .join('  ')
      .trimEnd();
  return [line(head), line(widths.map((width) => '-'.repeat(width))), ...rows.map(line)].join('\n');
}

function number(value: number, unit: Figure['unit']): string {
  const digits = unit === '/s' || unit === 'MB' ? 0 : 2;
  return unit === '/s' || unit === 'x' ? `${value.toFixed(digits)}${unit}` : `${value.toFixed(digits)} ${unit}`;
}

function aimText({ aim, unit }: Figure): string {
  if (aim === undefined) return '';
  const bound = aim.most === undefined ? `>= ${String(aim.least)}` : `<= ${String(aim.most)}`;
  return aim.of === 'ratio' ? `ratio ${bound}` : `${bound} ${unit}`;
}
