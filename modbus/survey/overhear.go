package survey

import (
	"context"
	"fmt"
	"slices"
	"time"

	"skyhaul/modbus"
	"skyhaul/modbus/tap"
)

// overheard counts the requests of another client.
type overheard struct {
	requests int
	units    []modbus.UnitID
}

// Handle notes a request and stays silent.
func (h *overheard) Handle(unit modbus.UnitID, _ modbus.PDU) (modbus.PDU, bool) {
	h.requests++
	if !slices.Contains(h.units, unit) {
		h.units = append(h.units, unit)
	}
	return nil, false
}

// listen finds out whether another client talks, at the first settings and, if
// there are bytes at all, at the others.
func (s *scan) listen(ctx context.Context) (busy bool, err error) {
	if s.o.Listen < 0 {
		return false, nil
	}
	for i, set := range s.o.Settings {
		s.tell(set, 0)
		heard, bytes, err := s.overhear(ctx, set)
		if err != nil {
			return false, err
		}
		if i == 0 {
			s.unasked = bytes
		}
		if heard.requests > 0 {
			s.report.Verdict, s.report.Settings = Occupied, set
			s.report.Evidence = fmt.Sprintf("another client talks on the line at %s: in %v it asked %s %s: "+
				"two clients disturb each other: end it, or listen with skyhaul modbus trace",
				set, s.o.Listen, listIDs(heard.units), times(heard.requests))
			return true, nil
		}
		if bytes < talk {
			return false, nil
		}
	}
	return false, nil
}

func (s *scan) overhear(ctx context.Context, set Settings) (heard *overheard, bytes int, err error) {
	conn, err := s.port(ctx, set)
	if err != nil {
		return nil, 0, err
	}
	defer conn.Close()
	listening, cancel := context.WithTimeout(ctx, s.o.Listen)
	defer cancel()
	heard = &overheard{}
	conn = tap.NewConn(conn, time.Now(), func(c tap.Chunk) { bytes += len(c.Bytes) })
	err = modbus.Serve(listening, conn, set.Framing, set.Timing(), heard)
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return heard, bytes, err
}
