// Package model codes rows of cells, and records, in as few bits as it can. It
// learns from what passes, the same at both ends, in integers only, and looks
// at nothing ahead.
//
// [Coder] turns decisions into bytes or back, so that one function serves both
// directions. [Table] is the model of rows, [Bytes] that of records; the
// comment there describes the latter. This page is the specification of the
// rest: from it alone a decoder can be written in another language. The golden
// stream in testdata holds it still.
//
// # Notation
//
// Numbers are signed 64-bit integers unless said otherwise, and wrap. << and >>
// bind like * and /, from left to right; >> rounds down (arithmetic), / rounds to
// zero, and 2^n is a power where ^ is else exclusive or. u32 means unsigned 32-bit arithmetic. size(v)
// is the bits of |v|, size(0) = 0. clamp(v, a, b) is v, but at least a and at
// most b. div(a, b) for b > 0 is a/b rounded to the nearest: (a + b/2)/b for
// a >= 0, else -((b/2 - a)/b). Floating point numbers are IEEE 754 binary64;
// each operation rounds by itself (no fused multiply-add).
//
// # Coder
//
// The state is low = 0 and high = 2^32-1; a reader also has code, the first
// four bytes of the stream, big endian. Behind its end the stream goes on with
// zeros. A bit that is 1 with probability p/2^16 is coded so:
//
//	mid = low + ((high-low) * (65536-p) >> 16)
//	the bit is 1 if code > mid: low = mid+1, else it is 0: high = mid
//	while the top bytes of low and high are equal:
//		low = low<<8, high = high<<8 + 255, code = code<<8 + next byte, each modulo 2^32
//
// The writer sends the byte that goes at each turn of that loop. At the end it
// sends the first n bytes of the least multiple of 2^(32-8n) from low on, n
// being the least for which that is at most high, and takes back zeros at the
// end of the stream, but at most the n and four more. A reader that took more
// than 8 bytes behind the end has no whole stream.
//
// "n raw bits" are coded from the highest on, with p = 32768.
//
// A Bit has p = 32768 and n = 0 at first. It is coded with clamp(p, 32, 65504).
// Then p += (t-p)*2/(2n+3), t being 65535 after a 1 and 0 after a 0, and n
// grows by one up to 30.
//
// A Number v of up to 64 bits has the Bits longer[0..63] and second[0..63]. For
// i = 0, 1, ... longer[i] tells whether v has more than i bits, until it has
// not or i is 64. If v has s >= 2 bits then second[s-1] is the second highest,
// and s-2 raw bits the rest.
//
// # Logits
//
// squashed[0..4095], the probability in 2^-16 of logit (index-2048)/256, and its
// inverse stretched[0..4095], by probability/16:
//
//	e = 2^30; for i = 0 to 2047:
//		squashed[2048+i] = 2^46 / (2^30+e), squashed[2048-i] = 65536 - that
//		e = e*4278222805 >> 32
//	squashed[0] = squashed[1]
//	stretched[p] = clamp(x-2048, -2047, 2047), x the least with squashed[x] >= 16p+8, or 4095
//
// # Decisions
//
// A slot is p (16 bits), n and check (8 bits each), all 0 at first. A table has
// F = 2^min(b, 12) slots from its first model on, b being the option Slots (12 if 0). A
// set is four neighbouring slots, the first number a multiple of 4.
//
// Weights are 32 bits wide, one for each of 24 classes and 6 contexts. There
// are those of the table ("all", 19660 each at first) and those of each model
// ("own", 0 at first). A decision has an id, a class and six contexts c[0..5];
// a deep one has c[0] alone. First, for each context in order, in u32:
//
//	h = c[i] ^ id*0x2545F491, for i < 5 plus the model's salt
//	h = h*0x9E3779B1; h = h ^ h>>14; h = h*0x85EBCA6B
//	set = from slot (h>>8 mod number of slots) rounded down to a multiple of 4; check = h mod 256
//	slot = the first of the set with that check and n > 0, else claimed:
//		the first with the least n; if that n is not 0, one more is evicted,
//		and n -= n>>2 for all four; then the slot gets p = 32768, n = 0 and the check
//	logit[i] = stretched[p>>4] * (512*m / (2m+1)) >> 8, m = min(n, 15)
//
// Then the bit is coded with p = clamp(squashed[clamp(dot, -2047, 2047) + 2048],
// 24, 65512), dot = (sum of logit[i] * (own[class][i] + all[class][i])) >> 16,
// and learnt, again for each context in order (two may have the same slot):
//
//	w = (logit[i]*(t-p) + 2^(r-1)) >> r; own[class][i] += w; all[class][i] += w
//	slot: p += (t-p of the slot) * (2^17/(2n+3)) >> 16, then n grows by one up to 120
//
// t is 65535 after a 1 and 0 after a 0; r is 14 while the model has coded less
// than 64 cells, 15 while less than 2048, then 16.
//
// The contexts are hashed in u32:
//
//	H(a, b) = h ^ h>>15, h = a*0x9E3779B1 ^ b*0x85EBCA6B
//	L(a, v) = H(H(a, v mod 2^32), v>>32 mod 2^32)
//	rough(v): s = 65536 if v < 0, else 0; v = |v|; s+v if v < 4; else, v having n bits,
//		s + 4n + the two bits behind the first of v
//	fine(v): the same with v < 8, 8n and three bits
//
// # Numbers of a model
//
// number(id, class, usual, zero, v) codes v around a usual size:
//
//	if zero: decide(id, class): v is not 0; if it is, that's all
//	decide(id+1, class+1): v is negative; id += 2, and 2^19 more if so
//	decide(id, class+2): size(v) >= usual
//	if so, for s = usual, ... up to 63: decide(id+4+s, class+3): size(v) > s, until it isn't
//	else for s = usual-1, ... down to 2: decide(id+70+s, class+4): size(v) < s, until it isn't
//	s, at least 1, is the size. g = 1; for i = 0 to 5, while bits behind the first are left:
//		decide(id + 256 + 128s + 2g, class+5+i): the next bit; g = 2g + bit. It is deep if i > 1
//	the other bits are raw
//
// A usual size is kept in 1/256: u += (256*size(v) - u) >> 3; as a size it is
// max((u+128)>>8, 1).
//
// # Rows
//
// At the start of a row the number of slots doubles, the new half being a copy
// of the old, if more slots were evicted since the last time than there are,
// and if twice as many are at most the number of models times 2^b; neighbour is
// 0. Then the columns follow in order. A skipped cell does nothing. The first
// cell of a column is a Number, which all columns share, of its raw bits, and
// changes nothing else. Then
// a column has no model until it changes. While it has none or the model's same
// is 255, a Bit of the column tells whether the cell differs from the last one;
// if not neighbour is 1, and nothing is learnt. Else, and if it has a model:
//
//	centres  last, last+d1, short>>4, long>>4
//	centre   last; least = e0 - e0>>3; then e1 if less: least = e1 - e1>>3; then e2, e3 if less
//	c[0] = H(1, min(same, 3))        c[1] = L(L(2, last), centre-last)
//	c[2] = H(4, rough(short>>4 - centre))   c[3] = H(5, neighbour)
//	c[4] = H(H(3, rough(d1)), rough(d2))    c[5] = H(H(9, usual size), min(same, 3))
//	decide(0, class 0): the cell differs from the last one (not if the Bit told it)
//
// If it doesn't: same grows by one up to 255, neighbour = 1, and the model adds
// the step last. If it does, its value is coded as below and same is 0; where
// the Bit told it, c has min(same, 3) too. A new model counts from 1 the models
// of the table: its salt is that number * 0x85EBCA6B in u32; its form is
// integer; it begins from the last cell alone; then usual = 256.
//
// The model adds step k: e[i] += (min(|k - centres[i]|, 2^40)*256 - e[i]) >> 7
// for the four centres, d2 = d1, d1 = k - last, last = k, short += (16k - short)
// >> 2, long += (16k - long) >> 5. After each cell, changed or not, the window
// takes its raw bits, the cells count one more, and the form may be learnt.
//
// # Values
//
// A form makes raw bits of m, and m of a step k. It is integer, decimal or
// binary with an exponent x; ordered(raw) is the number of an integer column,
// for floats the raw bits as a signed number, all but the sign inverted if it is
// negative:
//
//	integer  raw is that for which ordered(raw) = m, in the low bits of the width
//	decimal  value = m/10^x             binary  value = m * 2^-x
//
// m, the result and, if that is narrower, the value of the column's width are
// each rounded to the nearest. A form may have a step S > 0, then at(k) = (offset + k*S + 32768)
// >> 16, else at(k) = k. It may drift, and it may leak by part l: leaked(m) = m -
// ((m*l + 2^29) >> 30). A changed cell:
//
//	number(1, class 1, usual, zero: there is a step, or the form isn't integer, or centre isn't last, k-centre)
//	neighbour = 2 + rough(k-centre); m = at(k)
//	if the form leaks: c[0..5] = H(299, 0..5), but
//		c[1] = H(41, fine(k-centre)), c[2] = H(42, fine(m)), c[3] = H(43, leaks), c[4] = L(H(44, leaks), d1)
//		decide(0x400000, class 23): m = leaked(m). leaks = 2*leaks mod 16, and 1 more if so
//	if there is a step: c[0..5] = H(99, 0..5), but
//		c[1] = L(22, k), c[2] = L(23, last rest), c[3] = H(24, fine(m)), c[4] = H(25, fine(k-last))
//		rest = number(0x100000, class 12, usual of rests, zero, ·); m += rest
//		if the form drifts: offset = (m<<16) - k*S
//	the raw bits are those of m; if the form isn't integer a Bit of the model tells if they are others; then
//		c[0..5] = H(199, 0..5), but c[1] = H(32, size(m)), c[2] = L(33, last such number), c[3] = L(34, m)
//		n = number(0x200000, class 12, usual of such numbers, not zero, ·): ordered(raw) is n more
//	usual takes k-centre, and the model adds k
//
// A usual size takes its number up when it is coded.
//
// A model begins (anew) from some raw cells with a form: the offset of one that
// drifts is grid(last cell)<<16. k0, k1, k2 are near(grid()) of the last cells,
// the last first (of the first one if there are too few): last = k0, d1 = k0-k1,
// d2 = k1-k2, short = long = 16*k0, e = 0, usual = 256*size(d1), the other usual
// sizes 256, the last rest and such number 0, leaks = 0.
//
// grid(raw) is ordered(raw), or for the value v of a decimal or binary form the
// integer next to v*10^x or v*2^x (half to even), 0 where that isn't less than
// 2^53 or no number. near(m) = div((m<<16)-offset, S), or m without a step.
// split(m), if the form leaks, is j = near(m + m*l/(2^30-l)), leaked, if |m -
// leaked(at(j))| < |m - at(near(m))|; in all other cases near(m), not leaked. An
// encoder may take any step and the rests that go with it.
//
// # Learning the form
//
// When a model has coded 2, 4, 8, ... 1024, then each 1024 more cells, it looks
// for a better form for the window, its last 512 raw cells. The form in use is
// the best at first, its least cost being its cost - 3 for each cell; a form
// with less cost takes its place. If it is another in the end, the salt grows by
// 0x9E3779B1 and the model begins anew from the window. What is tried, in order:
//
//  1. floats: decimal with the least x from 0 to 22 that fits: a sixteenth of the values at most,
//     |v*10^x| not below 2^24 (binary32) or 2^53 for them, or not the same bits back
//  2. floats where none fits: binary with x from -1000 to 1000. A value f*2^-y, f odd, needs y; zeros,
//     subnormal numbers, infinite ones and NaN none. x is, of the sorted y, the one
//     (cells of the window)/8 places from the greatest, or the least
//  3. integer, if the best form is integer still
//
// each first without a step, then, step being findStep of the ms = grid of all
// cells, for i = 1, 2, 3 while step/i >= 98304: S = step/i and offset = ms[0]<<16,
// drifting; if binary, that with a leak, if there is one; that of fit, if any.
//
// The cost, in 1/16 bit, is the sum over the cells that differ from the one
// before; a drifting form has the offset grid(first cell)<<16, and follows. It is
// the cost of the histograms of the changes of the step k (of split; first cell:
// near), if there is a step of m-at(k) (m-leaked(at(k)) if leaked), if the form
// isn't integer of ordered(raw) - ordered(raw of m); 12 for each cell if it
// leaks; and 6 for all cells of the window if there is a step.
//
// A histogram counts v by sign and |v| if that is below 8, else by sign, n =
// size(v) and the two bits behind the first, and n-3 goes to rest. The cost is
// 16*rest + log(all or 1)*all + sum over counts c > 0 of 64 - c*log(c). log(c) is
// 16*(size(c)-1) + the four bits behind the first of c (zeros if there are less).
//
// findStep: D are the |ms[i]-ms[i-1]| above 0 and below 2^40, sorted; none (0) if
// less than 12. thin(X, n) is X if it has n or less, else X[i*|X|/n] for i < n. few =
// thin(D, 128). T is the greatest common divisor of D if above 1; then from few,
// in order, those above 1 and other than the last in T, until T has 20; then
// thin(the differences of neighbours in few that are above 1, sorted; 12). For each d
// of T: S = refine(few, d<<16), if that is 2^17 at least; its cost is the sum over
// few of log(4k+1) + log(4|d - ((k*S+32768)>>16)| + 1), k = div(d<<16, S). The
// result is refine(D, S of the first with the least cost).
//
// refine(X, S): a = b = 0; for d in X: k = div(d<<16, S); end if k > 2^20 or a >
// 2^46; next if k = 0 or |(d<<16) - k*S| > S/4; a += d, b += k, S = (a<<16)/b; 0 if S < 2^16.
//
// fit(S): none if some |m| >= 2^46 or |change of m| >= 2^40. k[0] = 0, k[i] =
// k[i-1] + div((change of m)<<16, S). With the first greatest and the first least k,
// none if they are the same or 2^20 apart or more, S = ((m of
// the one - m of the other)<<16) / (k of the one - k of the other); none below
// 2^16. e[i] = clamp(((m[i]-m[0])<<16) - k[i]*S, -2^28, 2^28) >> 8; K = (sum of k)/N,
// E = (sum of e)/N; g = (sum of (k[i]-K)*e[i]) / ((sum of (k[i]-K)^2 >> 8) + 1). The
// form is S+g, offset (m[0]<<16) + (E<<8) - K*g, not drifting; none if S+g < 2^16.
//
// leak(S): none if S < 2^22 or some |m| >= 2^30. With d, m over the changes and the
// values behind them, k = div(d<<16, S), r = d - ((k*S+32768)>>16):
//
//	S = the first of S + j*(S>>10), j = -16 to 16, with the most d (none: S) for which
//		|d| <= S>>12, |k| <= 8 and |(d<<16) - k*S| < S>>7
//	for i = 0 to 5: S = ratio(sum of d*k, sum of k*k, 16) over those with |k| <= 8<<i and
//		|(d<<16) - k*S| < S>>(7+i); none if S < 2^22
//	l = the middle ([n/2], sorted) of (-r<<30)/(m-r) over those with |r| > S>>24, m != r and
//		S>>17 < |m| < (S>>16)*40; none if less than 16
//	three times: none if l = 0 or |l| > 2^27; over those for which, the offset being (m before)<<16,
//		split(m) is k, leaked, and with x = at(k) |m-leaked(x)| < S>>22:
//		l = ratio(sum of (x-m)*(x>>12), sum of x*(x>>12), 30)
//	none if l = 0 or |l| > 2^27
//
// ratio(a, b, n) is a*2^n/b, rounded to zero, without overflow; 0 if b = 0 or if it is 2^62 or more.
package model
