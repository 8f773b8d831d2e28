package modbus_test

import (
	"bytes"
	"encoding/hex"
	"math/rand/v2"
	"os"
	"slices"
	"time"

	"skyhaul/modbus"
)

// language is how the far end of a line frames unit id and PDU, written apart
// from the package's own.
type language struct {
	frame func(content []byte) []byte
	read  func(frame []byte) (content []byte)
}

var (
	rtu = language{
		frame: seal,
		read:  func(frame []byte) []byte { return frame[:len(frame)-2] },
	}
	ascii = language{
		frame: func(content []byte) []byte { return spell(content...) },
		read: func(frame []byte) []byte {
			b, _ := hex.DecodeString(string(frame[1 : len(frame)-4]))
			return b
		},
	}
)

// bench is a line with unit 1 at its end. It is not safe for concurrent use and
// belongs into a bubble of synctest. The unit answers in the order it is asked;
// its values are the number of the request, so that an answer to another shows.
type bench struct {
	language
	rng   *rand.Rand
	enron bool // the unit speaks so
	echo  bool // the line repeats what is sent
	fault fault

	n        int      // requests heard or lost
	truth    []byte   // unit id and PDU of the right answer to the last; nil if it was lost
	held     [][]byte // answers that the unit has yet to send
	lag      int      // by how many answers it is behind in foul weather
	damaged  int      // answers that were overwritten
	coming   []arrival
	deadline time.Time
}

// arrival is what comes down the line, and when.
type arrival struct {
	at    time.Time
	bytes []byte
}

// fault makes of a request and its answer what the unit is heard to say.
type fault func(b *bench, ask, answer []byte) []piece

func (b *bench) Write(ask []byte) (int, error) {
	b.n++
	b.truth = b.answerTo(b.read(ask))
	if b.echo {
		b.coming = append([]arrival{{time.Now(), bytes.Clone(ask)}}, b.coming...)
	}
	b.send(b.fault(b, ask, b.frame(b.truth))...)
	return len(ask), nil
}

// send lets the unit say pieces after all that it has yet to say.
func (b *bench) send(pieces ...piece) {
	at := b.end()
	for _, p := range pieces {
		at = at.Add(p.after)
		if len(p.bytes) > 0 {
			b.coming = append(b.coming, arrival{at, bytes.Clone(p.bytes)})
		}
	}
}

// end returns when the line falls silent.
func (b *bench) end() time.Time {
	now := time.Now()
	if n := len(b.coming); n > 0 && b.coming[n-1].at.After(now) {
		return b.coming[n-1].at
	}
	return now
}

func (b *bench) Read(p []byte) (int, error) {
	if len(b.coming) == 0 || !b.coming[0].at.Before(b.deadline) {
		time.Sleep(time.Until(b.deadline))
		return 0, os.ErrDeadlineExceeded
	}
	next := &b.coming[0]
	time.Sleep(time.Until(next.at))
	n := copy(p, next.bytes)
	if next.bytes = next.bytes[n:]; len(next.bytes) == 0 {
		b.coming = b.coming[1:]
	}
	return n, nil
}

func (b *bench) SetReadDeadline(t time.Time) error { b.deadline = t; return nil }
func (b *bench) SetWriteDeadline(time.Time) error  { return nil }
func (b *bench) Close() error                      { return nil }

// answerTo returns what answers a request.
func (b *bench) answerTo(ask []byte) []byte {
	addr, n := 0, byte(b.n)
	if len(ask) > 4 {
		addr = int(ask[2])<<8 | int(ask[3])
	}
	switch fc := ask[1]; fc {
	case 1, 2:
		return b.values(ask, (int(ask[4])<<8+int(ask[5])+7)/8)
	case 3, 4:
		return b.values(ask, b.size(addr, int(ask[5])))
	case 7:
		return []byte{ask[0], fc, n}
	case 11:
		return []byte{ask[0], fc, 0, 0, byte(b.n >> 8), n}
	case 12:
		return append(b.values(ask, 6+b.n%5)[:5], 0, n, 0, n, 1, 2, 3, 4)[:9+b.n%5]
	case 15, 16:
		return bytes.Clone(ask[:6])
	case 17:
		return b.values(ask, 2+b.n%4)
	case 20:
		return append([]byte{ask[0], fc, 6, 5, 6}, b.values(ask, 4)[3:]...)
	case 23:
		return b.values(ask, 2*int(ask[5]))
	case 24:
		return append([]byte{ask[0], fc, 0, 4, 0, 1}, b.values(ask, 2)[3:]...)
	case 43:
		return append([]byte{ask[0], fc, 14, ask[3], 1, 0, 0, 1, 0, 4}, b.values(ask, 4)[3:]...)
	}
	return bytes.Clone(ask)
}

// size returns the bytes of registers.
func (b *bench) size(addr, quantity int) int {
	switch {
	case b.enron && addr/100 == 7:
		return 20 // an archive
	case b.enron && (addr/1000 == 5 || addr/1000 == 7):
		return 4 * quantity
	}
	return 2 * quantity
}

// values returns an answer with so many bytes, which count requests.
func (b *bench) values(ask []byte, size int) []byte {
	c := []byte{ask[0], ask[1], byte(size)}
	for i := range size {
		c = append(c, byte(b.n>>(8*(i%2))))
	}
	return c
}

// wrong returns an answer to the last request with other values, made so by change.
func (b *bench) wrong(change func(content []byte)) []byte {
	content := bytes.Clone(b.truth)
	if modbus.FunctionCode(content[1]).Reads() {
		for i := range content[3:] {
			content[3+i] = byte(b.rng.Uint32())
		}
	}
	change(content)
	return b.frame(content)
}

// Faults that let every answer through.

func clean(_ *bench, _, answer []byte) []piece { return promptly(answer) }

func gap(b *bench, _, answer []byte) []piece {
	cut := b.rng.IntN(len(answer))
	return []piece{{5 * time.Millisecond, answer[:cut]}, {20 * time.Millisecond, answer[cut:]}}
}

// inPieces is an answer as an adapter passes it on: every 16 ms.
func inPieces(b *bench, _, answer []byte) (p []piece) {
	for part := range slices.Chunk(answer, 1+len(answer)/(1+b.rng.IntN(30))) {
		p = append(p, piece{16 * time.Millisecond, part})
	}
	return p
}

func strayBefore(b *bench, _, answer []byte) []piece {
	const strays = "\x00\xFF\x01:\n"
	return promptly(append([]byte{strays[b.rng.IntN(len(strays))]}, answer...))
}

func strayLongBefore(_ *bench, _, answer []byte) []piece {
	return []piece{{time.Millisecond, []byte{1}}, {200 * time.Millisecond, answer}}
}

func strayAfter(_ *bench, _, answer []byte) []piece { return promptly(append(answer, 0xFF)) }

func otherUnitToo(b *bench, _, answer []byte) []piece {
	return promptly(append(b.wrong(unit2), answer...))
}

func unit2(content []byte) { content[0] = 2 }

// Faults that let none through.

func held(b *bench, _, answer []byte) []piece { return b.behind(1, answer) }

func heldLong(b *bench, _, answer []byte) []piece { return b.behind(3, answer) }

// behind says what of the unit's answers is so many requests old.
func (b *bench) behind(lag int, answer []byte) (p []piece) {
	b.held = append(b.held, answer)
	for len(b.held) > lag {
		p = append(p, promptly(b.held[0])...)
		b.held = b.held[1:]
	}
	return p
}

func late(_ *bench, _, answer []byte) []piece { return []piece{{400 * time.Millisecond, answer}} }

func otherUnit(b *bench, _, _ []byte) []piece { return promptly(b.wrong(unit2)) }

func otherFunction(b *bench, _, _ []byte) []piece {
	return promptly(b.wrong(func(content []byte) { content[1] ^= 7 }))
}

// otherCount is an answer with more values than were asked for; one that itself
// tells how many it has tells too few.
func otherCount(b *bench, ask, _ []byte) []piece {
	content := append(b.read(b.wrong(func([]byte) {})), 9, 9)
	archive := b.enron && bytes.HasPrefix(b.read(ask)[1:], []byte{3, 2})
	if fc := modbus.FunctionCode(content[1]); fc.Reads() && !archive || fc == modbus.FuncReadWriteRegisters {
		content[2] += 2
	}
	return promptly(b.frame(content))
}

func wrongChecksum(b *bench, _, answer []byte) []piece {
	answer[len(answer)-3] ^= 1
	return promptly(answer)
}

func cutShort(b *bench, _, answer []byte) []piece {
	return promptly(answer[:b.rng.IntN(len(answer)-1)+1])
}

func beginMissing(b *bench, _, answer []byte) []piece {
	return promptly(answer[b.rng.IntN(len(answer)-1)+1:])
}

func silence(*bench, []byte, []byte) []piece { return nil }

func stray(*bench, []byte, []byte) []piece { return promptly([]byte{0}) }

// lost is a request that does not reach the unit.
func lost(b *bench, _, _ []byte) []piece {
	b.truth = nil
	return nil
}

// Faults of which either may come.

// sometime is an answer that may be in time and may be late.
func sometime(b *bench, _, answer []byte) []piece {
	return []piece{{time.Duration(b.rng.IntN(900)) * time.Millisecond, answer}}
}

// sometimesHeld sends an answer with the next one.
func sometimesHeld(b *bench, _, answer []byte) []piece { return b.behind(b.rng.IntN(2), answer) }

// split lets the rest of an answer come with the next one.
func split(b *bench, _, answer []byte) []piece {
	cut := b.rng.IntN(len(answer))
	rest := bytes.Join(b.held, nil)
	b.held = [][]byte{answer[cut:]}
	return promptly(append(rest, answer[:cut]...))
}

// lateOrLost is a unit that does not hear a request but answers the one before.
func lateOrLost(b *bench, _, answer []byte) []piece {
	if len(b.held) == 0 {
		b.held = append(b.held, answer)
		return nil
	}
	late := b.held[0]
	b.held = nil
	b.truth = nil
	return promptly(late)
}

// collision lets another unit speak at the same time on a line where a zero wins.
func collision(b *bench, _, answer []byte) []piece {
	other := b.wrong(unit2)
	for i, shift := 0, b.rng.IntN(len(answer)); i+shift < len(answer) && i < len(other); i++ {
		answer[i+shift] &= other[i]
	}
	return promptly(answer)
}

// spliced is the begin of an answer, and the rest of one with other values.
func spliced(b *bench, _, answer []byte) []piece {
	other := b.wrong(func([]byte) {})
	head := len(b.frame(b.truth[:3])) // and some of the values, else it would be the other
	cut := head + b.rng.IntN(max(1, len(answer)-head))
	mixed := append(answer[:cut:cut], other[cut:]...)
	b.overwritten(!bytes.Equal(mixed, answer))
	return promptly(mixed)
}

func (b *bench) overwritten(really bool) {
	if really {
		b.damaged++
	}
}

// oneBit turns over one bit.
func oneBit(b *bench, _, answer []byte) []piece {
	answer[b.rng.IntN(len(answer))] ^= 1 << b.rng.IntN(8)
	return promptly(answer)
}

// burst overwrites a part of an answer with any bytes.
func burst(b *bench, _, answer []byte) []piece {
	from := b.rng.IntN(len(answer))
	part := answer[from : from+1+b.rng.IntN(len(answer)-from)]
	was := bytes.Clone(part)
	for i := range part {
		part[i] = byte(b.rng.Uint32())
	}
	b.overwritten(!bytes.Equal(part, was))
	return promptly(answer)
}

// otherDigits overwrites a part of an answer in ASCII with any digits.
func otherDigits(b *bench, _, answer []byte) []piece {
	from := 1 + b.rng.IntN(len(answer)-3)
	part := answer[from : from+1+b.rng.IntN(len(answer)-2-from)]
	was := bytes.Clone(part)
	for i := range part {
		part[i] = "0123456789ABCDEF"[b.rng.IntN(16)]
	}
	b.overwritten(!bytes.Equal(part, was))
	return promptly(answer)
}

// bytesMissing leaves some bytes out.
func bytesMissing(b *bench, _, answer []byte) []piece {
	from := b.rng.IntN(len(answer))
	b.overwritten(true)
	return promptly(append(answer[:from:from], answer[min(len(answer), from+1+b.rng.IntN(3)):]...))
}

// weather is all at once: a unit that lags, declines, misses requests and
// answers none, on a line at its worst.
func weather(b *bench, ask, answer []byte) []piece {
	if b.rng.IntN(8) == 0 {
		b.lag = b.rng.IntN(4)
	}
	switch b.rng.IntN(12) {
	case 0:
		return lost(b, ask, answer)
	case 1:
		b.truth = []byte{b.truth[0], b.truth[1] | 0x80, 6}
		answer = b.frame(b.truth)
	case 2:
		return nil
	}
	p := b.behind(b.lag, answer)
	for i := range p {
		p[i] = b.spoil(p[i].bytes)[0]
	}
	return p
}

// spoil makes of an answer what foul weather lets through.
func (b *bench) spoil(answer []byte) (p []piece) {
	sort := b.rng.IntN(16)
	switch sort {
	case 0:
		return sometime(b, nil, answer)
	case 1:
		return oneBit(b, nil, answer)
	case 2:
		return cutShort(b, nil, answer)
	case 3:
		return beginMissing(b, nil, answer)
	case 4:
		return promptly(append(noise(b.rng), answer...))
	case 5:
		return promptly(append(answer, noise(b.rng)...))
	case 6:
		return promptly(append(b.frame([]byte{2, 3, 2, 0xBA, 0xD0}), answer...))
	}
	return promptly(answer)
}

func noise(rng *rand.Rand) []byte {
	b := make([]byte, 1+rng.IntN(20))
	for i := range b {
		b[i] = "\x00\x01\x02\x03\x04\x0F:\n013"[rng.IntN(11)] // looks like parts of frames
	}
	return b
}
