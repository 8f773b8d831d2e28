package modbus

import (
	"bytes"
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
// ends or the peer hangs up (nil) or the connection fails. On a line it answers
// 3.5 characters after the request and no broadcast. It does not close c.
func Serve(ctx context.Context, c Conn, f Framing, t LineTiming, h Handler) error {
	defer interrupt(ctx, c)()
	s := &server{wire: wire{conn: c, framing: f, timing: t}, handler: h}
	serve := s.serveLine
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
	handler Handler

	echo    echo      // not on TCP, as the rest
	sent    []byte    // the last answer, until something is heard
	repeats bool      // it was a copy of its request
	prompt  time.Time // until when its echo has to come
	copies  int       // requests in a row that were a copy of the answer before them, as prompt as an echo
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

// serveLine answers until the line is gone.
func (s *server) serveLine(ctx context.Context) error {
	for silent := false; ; {
		s.dropEcho()
		f := s.wire.codec().request(s.wire.in, silent)
		if f.length > 0 {
			s.notEchoed(f.start)
			if err := s.answer(ctx, f); err != nil {
				return err
			}
			s.wire.take(f.start + f.length)
			continue
		}
		if silent {
			s.sent = nil // what came instead may be its echo, damaged
			s.wire.take(len(s.wire.in))
		}
		var err error
		if silent, err = s.more(ctx); err != nil {
			return err
		}
	}
}

// maxCopies is how often in a row a client may at once ask again what it was
// answered, such as the same write of one item, before that is taken for an echo.
const maxCopies = 3

// dropEcho drops a copy of the last answer, which a two-wire adapter hears
// itself send: one that is a request as well would be answered again for ever.
func (s *server) dropEcho() {
	if s.echo == echoAbsent || s.sent == nil || !bytes.HasPrefix(s.wire.in, s.sent) {
		return
	}
	if s.wire.at[0].Before(s.prompt) {
		s.copies++
	}
	if s.echo == echoPresent || !s.repeats || s.copies == maxCopies {
		s.echo = echoPresent
		s.wire.take(len(s.sent))
	}
	s.sent = nil
}

// notEchoed learns from a request before which so many other bytes came: where
// there are none, a line that repeats what is sent would have shown.
func (s *server) notEchoed(before int) {
	if s.sent == nil {
		return
	}
	if before == 0 {
		s.echo = echoAbsent
	}
	s.sent, s.copies = nil, 0
}

// more waits for bytes; silent tells that the line fell silent behind some.
func (s *server) more(ctx context.Context) (silent bool, err error) {
	var deadline time.Time
	if len(s.wire.in) > 0 {
		deadline = s.wire.busy.Add(s.wire.pause())
	}
	err = s.wire.fill(ctx, deadline)
	if errors.Is(err, errSilent) {
		return true, nil
	}
	s.wire.take(max(0, len(s.wire.in)-keep))
	return false, err
}

// answer lets the handler answer one request.
func (s *server) answer(ctx context.Context, f found) error {
	resp, ok := s.handler.Handle(f.unit, f.pdu)
	if !ok || f.unit == Broadcast {
		return nil
	}
	if !s.wire.framing.OverTCP() {
		if err := sleep(ctx, time.Until(s.wire.busy.Add(s.wire.timing.T35()))); err != nil {
			return err
		}
	}
	s.sent, s.repeats = s.wire.codec().seal(nil, f.unit, resp), bytes.Equal(resp, f.pdu)
	_, err := s.wire.send(s.sent)
	s.prompt = s.wire.busy.Add(s.wire.pause())
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
