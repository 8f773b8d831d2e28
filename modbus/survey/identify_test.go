package survey_test

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"skyhaul/modbus"
	"skyhaul/modbus/survey"
)

// meter serves at most 60 registers at a time and keeps floats in order CDAB.
type meter struct{ *modbus.Bank }

func (m meter) Handle(unit modbus.UnitID, req modbus.PDU) (modbus.PDU, bool) {
	switch r, err := modbus.ParseRequest(req); {
	case req.Function() == modbus.FuncReportServerID:
		return modbus.PDU{17, 9, 0x2A, 0xFF, 'F', 'T', '-', '1', '0', '0', '0'}, true
	case req.Function() == modbus.FuncReadExceptionStatus:
		return modbus.PDU{7, 0x21}, true
	case req.Function() == modbus.FuncGetEventCounter:
		return nil, false
	case err == nil && r.Quantity > 60:
		return modbus.IllegalDataValue.Answer(req), true
	case err == nil && r.Function == modbus.FuncReadCoils:
		return modbus.IllegalFunction.Answer(req), true
	}
	return m.Bank.Handle(unit, req)
}

func newMeter() meter {
	m := meter{new(modbus.Bank)}
	m.Set(modbus.HoldingRegisters, 0, make([]uint16, 100)...)
	for i, v := range []uint16{0x41BC, 0x42C8, 0x4348, 0x447A, 0x3F80} {
		m.Set(modbus.HoldingRegisters, uint16(10+2*i), 0x1000, v)
	}
	return m
}

func TestIdentifySaysWhatAUnitIsAndAnswers(t *testing.T) {
	id, err := survey.Identify(t.Context(), asking(newMeter()), 5, survey.IdentifyOptions{Limits: true})
	if err != nil {
		t.Fatal(err)
	}
	functions := map[modbus.FunctionCode]string{}
	for _, f := range id.Functions {
		functions[f.Code] = "answers"
		if f.Err != nil {
			functions[f.Code] = f.Err.Error()
		}
	}
	for fc, want := range map[modbus.FunctionCode]string{
		1: "exception 01: illegal function", 3: "answers", 7: "answers", 11: "no answer in time", 17: "answers",
	} {
		if functions[fc] != want {
			t.Errorf("function %d: %q, want %q", fc, functions[fc], want)
		}
	}
	if id.Status != 0x21 || id.Text() != "*FT-1000" && id.Text() != "FT-1000" {
		t.Errorf("status %02X, text %q", id.Status, id.Text())
	}
	if id.MaxRegisters != 60 || id.MaxBits != 0 {
		t.Errorf("at most %d registers and %d bits, want 60 and 0", id.MaxRegisters, id.MaxBits)
	}
	if id.Order != "CDAB" {
		t.Errorf("order %q, %s", id.Order, id.OrderReason)
	}
}

func TestIdentifyOfAUnitThatIsNotThere(t *testing.T) {
	id, err := survey.Identify(t.Context(), asking(modbus.Units{}), 5, survey.IdentifyOptions{})
	if !errors.Is(err, modbus.ErrTimeout) || len(id.Functions) > 4 {
		t.Errorf("%v after %d requests, want a timeout after a few", err, len(id.Functions))
	}
}

// pipes returns an endpoint that serve serves, one connection at a time.
func pipes(serve func(net.Conn)) survey.Endpoint {
	return func(context.Context) (modbus.Conn, error) {
		near, far := net.Pipe()
		go func() {
			defer far.Close()
			serve(far)
		}()
		return near, nil
	}
}

// gatewayed declines for all units but one.
type gatewayed struct{ unit modbus.UnitID }

func (g gatewayed) Handle(unit modbus.UnitID, req modbus.PDU) (modbus.PDU, bool) {
	if unit != g.unit {
		return modbus.GatewayTarget.Answer(req), true
	}
	return unitOf().Handle(unit, req)
}

// anybody answers for every unit.
type anybody struct{}

func (anybody) Handle(unit modbus.UnitID, req modbus.PDU) (modbus.PDU, bool) {
	return unitOf().Handle(unit, req)
}

func TestVerdictsOnAnEndpoint(t *testing.T) {
	served := func(f modbus.Framing, h modbus.Handler) func(net.Conn) {
		return func(c net.Conn) { modbus.Serve(context.Background(), c, f, modbus.LineTiming{}, h) }
	}
	for name, c := range map[string]struct {
		serve    func(net.Conn)
		verdict  survey.Verdict
		evidence string
	}{
		"units":         {served(modbus.TCP, three()), survey.Answers, "valid in tcp: units 1, 3 and 7"},
		"device server": {served(modbus.RTUOverTCP, three()), survey.Answers, "valid in rtu over tcp: units 1, 3 and 7"},
		"gateway": {
			served(modbus.TCP, gatewayed{3}), survey.Answers,
			"valid in tcp: unit 3; a gateway says of 9 others that they do not answer",
		},
		"gateway alone": {served(modbus.TCP, gatewayed{99}), survey.OnlyGateway, "a gateway answers, but for each of the units asked (1-10) it says"},
		"any unit":      {served(modbus.TCP, anybody{}), survey.Answers, "every unit id that was asked answers (1-10), so the device ignores the id: use 1 or 255"},
		"silence":       {func(c net.Conn) { io.Copy(io.Discard, c) }, survey.Nothing, "it takes the connection, but none of the units asked (1-10) answers in tcp or rtu over tcp"},
		"hangs up":      {func(c net.Conn) { c.Read(make([]byte, 1)) }, survey.HangsUp, "it takes the connection and ends it at the first request"},
		"web server": {func(c net.Conn) {
			c.Read(make([]byte, 64))
			c.Write([]byte("HTTP/1.1 400 Bad Request\r\n\r\n"))
		}, survey.NotModbus, `it answers, but not Modbus: the first bytes are "HTTP/1.1 400 Bad Request"`},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var told int
				r, err := survey.ScanEndpoint(t.Context(), pipes(c.serve), survey.EndpointOptions{
					Framings: []modbus.Framing{modbus.TCP, modbus.RTUOverTCP}, Units: ids(1, 10), Timeout: 200 * time.Millisecond,
					Progress: func(survey.Progress) { told++ },
				})
				if err != nil {
					t.Fatal(err)
				}
				if r.Verdict != c.verdict || !strings.Contains(r.Evidence, c.evidence) {
					t.Errorf("verdict %d, want %d, %s\nwant %s", r.Verdict, c.verdict, r.Evidence, c.evidence)
				}
				if diff := cmp.Diff(r.Requests, told); diff != "" {
					t.Error(diff)
				}
			})
		})
	}
}
