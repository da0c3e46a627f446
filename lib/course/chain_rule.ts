import { grad } from '../autograd/backward.js';
import { tensor } from '../ops/create.js';
import { plot, sheet } from './chart.js';
import { numbersOf, spaced } from './common.js';
import type { Finding } from './experiment.js';

/** d/dx (2x − 3)³ = 6(2x − 3)² by backpropagation, and the second and third derivatives by doing it again. */
export async function run(): Promise<Finding> {
  const at = spaced(0, 3, 121);
  const x = tensor(at, { dtype: 'float64', requiresGrad: true });
  const y = x.mul(2).sub(3).pow(3);
  const [first] = grad(y.sum(), [x], { createGraph: true });
  const [second] = grad(first!.sum(), [x], { createGraph: true });
  const [third] = grad(second!.sum(), [x]);
  const derivatives = [first!, second!, third!];
  const formulas = [(v: number) => 6 * (2 * v - 3) ** 2, (v: number) => 24 * (2 * v - 3), () => 48];
  const names = ['first', 'second', 'third'];
  const figures: Record<string, number> = {};
  const panels = [
    plot([{ name: '(2x − 3)³', x: at, y: await numbersOf(y) }], { title: '(2x − 3)³', x: 'x', width: 220 }),
  ];
  for (const [i, derivative] of derivatives.entries()) {
    const got = await numbersOf(derivative);
    const want = at.map(formulas[i]!);
    figures[`largest_error_of_${names[i]}_derivative`] = Math.max(...got.map((v, j) => Math.abs(v - want[j]!)));
    const curves = [
      { name: 'by backpropagation', x: at, y: got },
      { name: 'formula', x: at, y: want, dashed: true },
    ];
    panels.push(plot(curves, { title: `${names[i]} derivative`, x: 'x', width: 220 }));
  }
  return { figures, picture: sheet('The chain rule', '(2x − 3)³ has the derivative 6(2x − 3)²', panels, 4) };
}
