/** A share from 0 to 1 as people read it: `0.1 %`, `99.8 %`; never rounded to none or all where it is neither. */
export function percent(share: number): string {
  const value = share * 100;
  if (value > 0 && value < 0.01) return '< 0.01 %';
  if (value > 99.99 && value < 100) return '> 99.99 %';
  return `${Number(value.toPrecision(value >= 10 ? 3 : 2))} %`;
}
