package modbus

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"iter"
	"time"
)

// asciiCodec finds frames by the characters that begin and end them:
//
//	0     1                         2n+3    2n+5
//	':' | unit id and PDU of n    | LRC   | CR LF
//
// Each byte between is two hexadecimal digits. Lower case ones, which the
// standard does not have, are read as well. Serial, section 2.5.2.
type asciiCodec struct{}

// maxASCII is the length of the longest frame. Serial, section 2.5.2.1.
const maxASCII = 1 + 2*(1+MaxPDU+1) + 2

// limits returns the second that may pass between two characters as well.
// Serial, section 2.5.2.1.
func (asciiCodec) limits() (size int, gap time.Duration) { return maxASCII, time.Second }

func (asciiCodec) seal(dst []byte, unit UnitID, p PDU) []byte {
	return fmt.Appendf(dst, ":%02X%X%02X\r\n", byte(unit), []byte(p), -(byte(unit) + sum(p)))
}

// sum returns what the LRC makes up for to zero. Serial, section 6.2.1.
func sum(b []byte) (s byte) {
	for _, c := range b {
		s += c
	}
	return s
}

func (asciiCodec) open(b []byte) bool {
	begin := bytes.LastIndexByte(b, ':')
	return begin > bytes.LastIndexByte(b, '\n') && len(b)-begin < maxASCII
}

// stretches yields where the parts of b begin and end that may be a frame: from
// each colon to behind a line feed or before the next colon.
func stretches(b []byte) iter.Seq2[int, int] {
	return func(yield func(start, end int) bool) {
		for i, c := range b {
			if c != ':' {
				continue
			}
			end := len(b)
			if n := bytes.IndexAny(b[i+1:], ":\n"); n >= 0 {
				end = i + 1 + n
				if b[end] == '\n' {
					end++
				}
			}
			if !yield(i, end) {
				return
			}
		}
	}
}

// candidate is what a stretch of received bytes holds.
type candidate struct {
	found
	content []byte // what its digits stand for, as far as they do
	open    bool   // its end has not come
}

// candidateAt reads the stretch of b from start to end; it is found if it is an
// intact frame.
func candidateAt(b []byte, start, end int) (c candidate) {
	digits, ended := bytes.CutSuffix(b[start+1:end], []byte("\r\n"))
	if len(digits) > maxASCII {
		return c
	}
	c.open = end == len(b) && b[end-1] != '\n'
	c.content = make([]byte, len(digits)/2)
	n, err := hex.Decode(c.content, digits)
	c.content = c.content[:n]
	if ended && err == nil && n > 2 && n <= 1+MaxPDU+1 && sum(c.content) == 0 {
		c.found = found{start, end - start, UnitID(c.content[0]), PDU(c.content[1 : n-1])}
	}
	return c
}

func (asciiCodec) answer(b []byte, want shape) (s sighting) {
	s.partial = len(b)
	for start, end := range stretches(b) {
		c := candidateAt(b, start, end)
		if c.length > 0 && c.unit == want.unit && want.accepts(c.pdu) {
			s.found = c.found
			return s
		}
		_, agreed := want.agree(c.content)
		switch {
		case c.open && len(c.content) == 0:
			s.partial, s.agreed = start, 1 // the colon
		case c.open && agreed > 0:
			s.partial, s.agreed = start, agreed
		case agreed >= believed && start <= strayBytes:
			s.damaged = true
		}
	}
	return s
}

func (asciiCodec) anyAnswer(b []byte, end int) found {
	for start, stop := range stretches(b) {
		if start >= end {
			break
		}
		if c := candidateAt(b, start, stop); c.length > 0 {
			return c.found
		}
	}
	return found{}
}

func (asciiCodec) request(b []byte, _ bool) found {
	for start, end := range stretches(b) {
		c := candidateAt(b, start, end)
		if c.length > 0 && c.unit <= lastUnit && c.pdu.Function()&exceptionBit == 0 {
			return c.found
		}
	}
	return found{}
}
