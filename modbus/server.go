package modbus

import (
	"context"
	"errors"
	"io"
	"time"
)

// Broadcast is the unit id that all units of a line obey and none answers.
// Serial, section 2.2.
const Broadcast UnitID = 0

// Handler answers requests. With ok false the server stays silent, as if the
// unit were not there. It may keep req only while the call lasts, and the
// answer may share its memory.
type Handler interface {
	Handle(unit UnitID, req PDU) (resp PDU, ok bool)
}

// Serve answers the requests that arrive on c, one after the other, until ctx
// ends or the peer hangs up (nil) or the connection fails. On RTU it answers
// 3.5 characters after the request and no broadcast. It does not close c.
func Serve(ctx context.Context, c Conn, f Framing, t LineTiming, h Handler) error {
	defer interrupt(ctx, c)()
	s := &server{wire: wire{conn: c, timing: t}, framing: f, handler: h}
	serve := s.serveRTU
	if f == TCP {
		serve = s.serveTCP
	}
	err := serve(ctx)
	if ctx.Err() != nil || errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

type server struct {
	wire    wire
	framing Framing
	handler Handler
}

// serveTCP answers until the stream ends.
func (s *server) serveTCP(ctx context.Context) error {
	for {
		h, req, length, err := frameTCP(s.wire.in)
		switch {
		case err != nil:
			return err
		case length == 0:
			if err := s.wire.fill(ctx, time.Time{}); err != nil {
				return err
			}
			continue
		}
		resp, ok := s.handler.Handle(h.unit, req)
		if ok {
			_, err = s.wire.send(appendTCP(nil, h.transaction, h.unit, resp))
		}
		if err != nil {
			return err
		}
		s.wire.take(length)
	}
}

// serveRTU answers until the line is gone.
func (s *server) serveRTU(ctx context.Context) error {
	for {
		start, length := findRequest(s.wire.in)
		if length == 0 {
			var err error
			if start, length, err = s.more(ctx); err != nil {
				return err
			}
		}
		if length > 0 {
			if err := s.answer(ctx, s.wire.in[start:start+length]); err != nil {
				return err
			}
			s.wire.take(start + length)
		}
	}
}

// more waits for bytes. When the line falls silent first, what was received is
// either one request of an unknown function, whose length only the silence
// tells, or nothing that will ever be one.
func (s *server) more(ctx context.Context) (start, length int, err error) {
	var deadline time.Time
	if len(s.wire.in) > 0 {
		deadline = s.wire.busy.Add(s.pause())
	}
	err = s.wire.fill(ctx, deadline)
	if !errors.Is(err, errSilent) {
		s.wire.take(max(0, len(s.wire.in)-2*maxRTU))
		return 0, 0, err
	}
	if b := s.wire.in; intact(b) && b[0] <= lastUnit && maxQuantity(FunctionCode(b[1])) == 0 {
		return 0, len(b), nil
	}
	s.wire.take(len(s.wire.in))
	return 0, 0, nil
}

// pause is the silence after which an unfinished request is given up.
func (s *server) pause() time.Duration {
	if s.framing == RTUOverTCP {
		return streamPause
	}
	return max(pause, s.wire.timing.Wire(6))
}

// answer lets the handler answer one RTU frame.
func (s *server) answer(ctx context.Context, frame []byte) error {
	unit := UnitID(frame[0])
	resp, ok := s.handler.Handle(unit, frame[1:len(frame)-2])
	if !ok || unit == Broadcast {
		return nil
	}
	if s.framing == RTU {
		if err := sleep(ctx, time.Until(s.wire.busy.Add(s.wire.timing.T35()))); err != nil {
			return err
		}
	}
	_, err := s.wire.send(appendRTU(nil, unit, resp))
	return err
}

func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return context.Cause(ctx)
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// lastUnit is the greatest unit id; the rest is reserved. Serial, section 2.2.
const lastUnit = 247

// findRequest slides over b and finds the first intact request of a function
// whose length is known; length is 0 if there is none.
func findRequest(b []byte) (start, length int) {
	for i := range b {
		n := requestLength(b[i:])
		if n > 0 && n <= len(b)-i && b[i] <= lastUnit && intact(b[i:i+n]) {
			return i, n
		}
	}
	return 0, 0
}

// requestLength returns the length of the request that b begins with, unit id
// and CRC included; 0 if it can't be told (yet).
func requestLength(b []byte) int {
	if len(b) < 2 {
		return 0
	}
	switch fc := FunctionCode(b[1]); {
	case maxQuantity(fc) == 0:
		return 0
	case fc != FuncWriteCoils && fc != FuncWriteRegisters:
		return 1 + 5 + 2
	case len(b) < 7:
		return 0
	}
	return 1 + 6 + int(b[6]) + 2
}
