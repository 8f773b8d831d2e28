package survey

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"skyhaul/modbus"
	"skyhaul/modbus/tap"
)

// Endpoint is a host and port that can be connected to.
type Endpoint func(context.Context) (modbus.Conn, error)

// EndpointOptions says what to look for behind an endpoint.
type EndpointOptions struct {
	Framings []modbus.Framing // in the order to try
	Units    []modbus.UnitID
	Timeout  time.Duration // for an answer; 0 is 1 s

	// Progress, unless nil, is told of each request before it is sent; without
	// settings.
	Progress func(Progress)
}

const endpointTimeout = time.Second

// endpoint is a scan of an endpoint at work.
type endpoint struct {
	o       EndpointOptions
	dial    Endpoint
	report  Report
	heard   []byte // in the current framing
	foreign []byte // what came that is no Modbus
	gateway int    // exceptions of a gateway without the unit
	ended   int    // connections that the far end ended, in the current framing
	hangsUp bool   // it ended them in the first framing; in a wrong one a server may
	done    int
	began   time.Time
}

// ScanEndpoint looks for units behind an endpoint. The error is that of dial,
// or of ctx.
func ScanEndpoint(ctx context.Context, dial Endpoint, o EndpointOptions) (Report, error) {
	if o.Timeout <= 0 {
		o.Timeout = endpointTimeout
	}
	e := &endpoint{o: o, dial: dial, began: time.Now()}
	for _, f := range o.Framings {
		e.report.Framing = f
		e.ended = 0
		if err := e.try(ctx, f); err != nil {
			return e.report, err
		}
		e.hangsUp = e.hangsUp || e.ended > 0 && f == o.Framings[0]
		if len(e.report.Units) > 0 || e.gateway > 0 {
			break
		}
	}
	e.conclude()
	return e.report, nil
}

// try asks all units in one framing, connecting anew where that is needed.
func (e *endpoint) try(ctx context.Context, f modbus.Framing) error {
	var client *modbus.Client
	var conn modbus.Conn
	for _, unit := range e.o.Units {
		if client == nil {
			var err error
			if conn, err = e.dial(ctx); err != nil {
				return err
			}
			defer conn.Close()
			conn = tap.NewConn(conn, time.Now(), func(c tap.Chunk) {
				if c.Direction == tap.Received {
					e.heard = append(e.heard, c.Bytes...)
				}
			})
			client = modbus.NewClient(conn, f, modbus.LineTiming{})
		}
		e.tell(unit)
		e.heard = nil
		e.report.Requests++
		a, err := client.Do(ctx, unit, probe(), e.o.Timeout)
		e.done++
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if !e.judge(unit, a, err) {
			client = nil
			if e.ended > maxEnded || len(e.foreign) > 0 {
				return nil
			}
		}
	}
	return nil
}

// maxEnded is how often an endpoint may hang up before the rest is not asked.
const maxEnded = 2

// judge notes what came of a request; false if the connection is lost.
func (e *endpoint) judge(unit modbus.UnitID, a modbus.Answer, err error) (keep bool) {
	exception, declined := errors.AsType[modbus.Exception](err)
	switch {
	case declined && (exception == modbus.GatewayPath || exception == modbus.GatewayTarget):
		e.gateway++
	case declined || err == nil:
		e.report.Units = append(e.report.Units, Found{Unit: unit, Asked: 1, Intact: 1, Turnaround: a.FirstByte})
	case errors.Is(err, modbus.ErrTimeout):
	case errors.Is(err, modbus.ErrDamaged):
		e.foreign = slices.Clone(e.heard)
	case len(e.heard) > 0:
		e.foreign = slices.Clone(e.heard)
		return false
	default:
		e.ended++
		return false
	}
	return true
}

func (e *endpoint) tell(unit modbus.UnitID) {
	if e.o.Progress == nil {
		return
	}
	total := len(e.o.Units) * len(e.o.Framings)
	p := Progress{Unit: unit, Done: e.done, Total: total, Found: e.report.ids()}
	if e.done > 0 {
		p.Left = time.Duration(float64(time.Since(e.began)) / float64(e.done) * float64(total-e.done))
	}
	e.o.Progress(p)
}

// anyUnit is how many units have to answer, all that were asked, before the
// unit id is taken to be ignored.
const anyUnit = 8

// conclude says what the scan comes to.
func (e *endpoint) conclude() {
	r := &e.report
	switch {
	case len(r.Units) >= anyUnit && len(r.Units) == len(e.o.Units):
		r.Verdict = Answers
		r.Evidence = fmt.Sprintf("valid in %s: every unit id that was asked answers (%s), so the device ignores the id: use 1 or 255",
			r.Framing, spanIDs(e.o.Units))
	case len(r.Units) > 0:
		r.Verdict = Answers
		r.Evidence = fmt.Sprintf("valid in %s: %s", r.Framing, listIDs(r.ids()))
		if e.gateway > 0 {
			r.Evidence += fmt.Sprintf("; a gateway says of %d others that they do not answer", e.gateway)
		}
	case e.gateway > 0:
		r.Verdict = OnlyGateway
		r.Evidence = fmt.Sprintf("a gateway answers, but for each of the units asked (%s) it says that there is no such unit: "+
			"check its serial settings, the line behind it and the unit ids", spanIDs(e.o.Units))
	case len(e.foreign) > 0:
		r.Verdict = NotModbus
		r.Evidence = fmt.Sprintf("it answers, but not Modbus: the first bytes are %q: another service has this port", e.foreign[:min(len(e.foreign), 24)])
	case e.hangsUp:
		r.Verdict = HangsUp
		r.Evidence = "it takes the connection and ends it at the first request: another client is connected where only one is allowed, " +
			"the address of this computer is not permitted, or it wants TLS"
	default:
		r.Verdict = Nothing
		r.Evidence = fmt.Sprintf("it takes the connection, but none of the units asked (%s) answers in %s: check the unit ids, and the line if it is a gateway",
			spanIDs(e.o.Units), framingList(e.o.Framings))
	}
}

func framingList(fs []modbus.Framing) string {
	names := ""
	for i, f := range fs {
		if i > 0 {
			names += " or "
		}
		names += f.String()
	}
	return names
}
