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
	return bytes.LastIndexByte(b, ':') > bytes.LastIndexByte(b, '\n')
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

// content returns the bytes that the digits of a stretch stand for, as far as
// they do, and whether it is an intact frame.
func content(stretch []byte) (b []byte, whole bool) {
	digits, ended := bytes.CutSuffix(stretch[1:], []byte("\r\n"))
	if len(digits) > maxASCII {
		return nil, false
	}
	b = make([]byte, len(digits)/2)
	n, err := hex.Decode(b, digits)
	return b[:n], ended && err == nil && n > 2 && n <= 1+MaxPDU+1 && sum(b) == 0
}

// whole returns the frame that a stretch of received bytes is, if it is one.
func whole(b []byte, start, end int) found {
	c, ok := content(b[start:end])
	if !ok {
		return found{}
	}
	return found{start, end - start, UnitID(c[0]), PDU(c[1 : len(c)-1])}
}

func (asciiCodec) answer(b []byte, want shape) (s sighting) {
	s.partial = len(b)
	for start, end := range stretches(b) {
		f := whole(b, start, end)
		if f.length > 0 && f.unit == want.unit && want.accepts(f.pdu) {
			s.found = f
			return s
		}
		c, _ := content(b[start:end])
		_, agreed := want.agree(c)
		switch {
		case end == len(b) && b[end-1] != '\n':
			if len(c) == 0 {
				agreed = 1 // the colon
			}
			if agreed > 0 {
				s.partial, s.agreed = start, agreed
			}
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
		if f := whole(b, start, stop); f.length > 0 {
			return f
		}
	}
	return found{}
}

func (asciiCodec) request(b []byte, _ bool) found {
	for start, end := range stretches(b) {
		if f := whole(b, start, end); f.length > 0 && f.unit <= lastUnit && f.pdu.Function()&exceptionBit == 0 {
			return f
		}
	}
	return found{}
}
