//go:build unix

package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/binary"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"skyhaul/modbus"
	"skyhaul/modbus/sim"
)

// authority issues certificates for a test.
type authority struct {
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{dir: t.TempDir()}
	a.cert, a.key = a.issue(t, "ca", nil)
	return a
}

// issue writes NAME.crt and NAME.key.
func (a *authority) issue(t *testing.T, name string, addrs []net.IP) (*x509.Certificate, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, BasicConstraintsValid: true, IsCA: a.cert == nil, IPAddresses: addrs,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	parent, signer := template, key
	if a.cert != nil {
		parent, signer = a.cert, a.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	a.write(t, name+".crt", "CERTIFICATE", der)
	a.write(t, name+".key", "PRIVATE KEY", secret)
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert, key
}

func (a *authority) write(t *testing.T, name, kind string, der []byte) {
	t.Helper()
	if err := os.WriteFile(a.file(name), pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
}

func (a *authority) file(name string) string { return filepath.Join(a.dir, name) }

// serveSecurely serves a unit with Modbus/TCP Security until the test ends.
func serveSecurely(t *testing.T, a *authority) (addr string) {
	t.Helper()
	a.issue(t, "server", []net.IP{net.IPv4(127, 0, 0, 1)})
	cert, err := tls.LoadX509KeyPair(a.file("server.crt"), a.file("server.key"))
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	ln, err := tls.Listen("tcp", "127.0.0.1:0", modbus.ServerTLS(cert, pool))
	if err != nil {
		t.Fatal(err)
	}
	bank := new(modbus.Bank)
	bank.Set(modbus.HoldingRegisters, 0, 0x41BC, 0)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- sim.ServeTCP(ctx, ln, bank) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return ln.Addr().String()
}

func TestReadsBySecurity(t *testing.T) {
	a := newAuthority(t)
	addr := serveSecurely(t, a)
	a.issue(t, "client", nil)
	stranger := newAuthority(t)
	for name, c := range map[string]struct {
		args []string
		want string
		code int
	}{
		"trusted":    {[]string{"--tls-ca", a.file("ca.crt"), "--tls-cert", a.file("client.crt"), "--tls-key", a.file("client.key")}, `"value":"23.5"`, 0},
		"other name": {[]string{"--tls-ca", a.file("ca.crt"), "--tls-cert", a.file("client.crt"), "--tls-key", a.file("client.key"), "--tls-name", "plc"}, "can't be trusted", 1},
		"stranger":   {[]string{"--tls-ca", stranger.file("ca.crt"), "--tls-cert", a.file("client.crt"), "--tls-key", a.file("client.key")}, "check --tls-ca and --tls-name", 1},
		"no key":     {[]string{"--tls-ca", a.file("ca.crt")}, "TLS needs all of --tls-ca, --tls-cert and --tls-key", 2},
		"no file":    {[]string{"--tls-ca", a.file("none"), "--tls-cert", a.file("client.crt"), "--tls-key", a.file("client.key")}, "--tls-ca: open ", 1},
		"no cert":    {[]string{"--tls-ca", a.file("client.key"), "--tls-cert", a.file("client.crt"), "--tls-key", a.file("client.key")}, "there is no certificate in it", 1},
		"in clear":   {nil, "it accepted the connection and ended it: is it Modbus, is the framing right", 1},
	} {
		var out strings.Builder
		args := append([]string{"modbus", "read", "--tcp", addr, "holding", "40001", "--type", "float32", "--json"}, c.args...)
		if code := run(t.Context(), args, &out, &out); code != c.code || !strings.Contains(out.String(), c.want) {
			t.Errorf("%s: exit %d, want %d:\n%s\nwant %s", name, code, c.code, out.String(), c.want)
		}
	}
}

// flowComputer keeps floats of 32 bits under one number each, from 7001 on.
type flowComputer struct{ floats map[uint16]uint32 }

func (f flowComputer) Handle(_ modbus.UnitID, req modbus.PDU) (modbus.PDU, bool) {
	addr := binary.BigEndian.Uint16(req[1:])
	switch req.Function() {
	case modbus.FuncReadHoldingRegisters:
		n := binary.BigEndian.Uint16(req[3:])
		resp := modbus.PDU{3, byte(4 * n)}
		for i := range n {
			resp = binary.BigEndian.AppendUint32(resp, f.floats[addr+i])
		}
		return resp, true
	case modbus.FuncWriteRegister:
		f.floats[addr] = binary.BigEndian.Uint32(req[3:])
		return req, true
	}
	return modbus.IllegalFunction.Answer(req), true
}

// servedTCP serves a unit until the test ends.
func servedTCP(t *testing.T, h modbus.Handler) (addr string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- sim.ServeTCP(ctx, ln, h) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return ln.Addr().String()
}

func TestReadsAndWritesTheDialectOfFlowComputers(t *testing.T) {
	addr := servedTCP(t, flowComputer{map[uint16]uint32{7001: 0x41BC0000, 7002: 0x42C88000}})
	for _, c := range []struct{ args, want string }{
		{"read holding 7001 --zero-based --count 2 --type float32", "47003    7002  100.25        42C8 8000\n"},
		{"read holding 7001 --zero-based --count 2", "47002    float32  ABCD   23.5    likely  a round number\n"},
		{"read holding 7001 --zero-based --type float32 --order CDAB --count 63", "here, with 4 bytes at each address, 1 to 62 of them"},
		{"read holding 7001 --zero-based --type uint16", "--type uint16: holding 47002 (wire 7001) holds values of 4 bytes\n"},
		{"read holding 7001 --zero-based --expect 23.5", "--expect is for lists of plain registers\n"},
		{"read holding 701 --zero-based", "holding 40702 (wire 701) is an archive or a log of the unit: the daemon keeps its records"},
		{"write holding 7002 3.5 --zero-based --type float32 --yes", "was 100.25, wrote 3.5, reads back 3.5\n"},
		{"write holding 7002 3 --zero-based --yes", "--type uint16: holding 47003 (wire 7002) holds values of 4 bytes\n"},
	} {
		var out strings.Builder
		args := append(append([]string{"modbus"}, strings.Fields(c.args)...), "--tcp", addr, "--dialect", "enron")
		run(t.Context(), args, &out, &out)
		if !strings.Contains(out.String(), c.want) {
			t.Errorf("%s:\n%s\nwant %s", c.args, out.String(), c.want)
		}
	}
}

func TestWatchReadsAgainUntilInterrupted(t *testing.T) {
	a := newAuthority(t)
	addr := serveSecurely(t, a)
	a.issue(t, "client", nil)
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	var out strings.Builder
	args := []string{
		"modbus", "read", "--tcp", addr, "holding", "40001", "--count", "2", "--watch", "10ms", "--json",
		"--tls-ca", a.file("ca.crt"), "--tls-cert", a.file("client.crt"), "--tls-key", a.file("client.key"),
	}
	if code := run(ctx, args, &out, &out); code != 0 {
		t.Errorf("exit %d:\n%s", code, out.String())
	}
	if n := strings.Count(out.String(), `"value":"23.5"`); n < 2 {
		t.Errorf("%d reads:\n%s", n, out.String())
	}
}

// broken is an output whose reader has gone.
type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, syscall.EPIPE }

func TestWatchAndTraceEndWithTheirReader(t *testing.T) {
	addr := servedTCP(t, flowComputer{})
	for _, args := range []string{"read holding 40001 --watch 1ms", "trace --poll holding 40001 --every 1ms", "trace --poll holding 40001 --every 1ms --json"} {
		all := append(append([]string{"modbus"}, strings.Fields(args)...), "--tcp", addr)
		if code := run(t.Context(), all, broken{}, broken{}); code != 1 {
			t.Errorf("%s: exit %d, want 1", args, code)
		}
	}
}

// picky is a unit that knows one of the two functions that write, and keeps no
// register above 100.
type picky struct {
	*modbus.Bank
	without modbus.FunctionCode
}

func (p picky) Handle(unit modbus.UnitID, req modbus.PDU) (modbus.PDU, bool) {
	if req.Function() == p.without {
		return modbus.IllegalFunction.Answer(req), true
	}
	resp, ok := p.Bank.Handle(unit, req)
	if v, _ := p.Get(modbus.HoldingRegisters, 0, 1); v[0] > 100 {
		p.Set(modbus.HoldingRegisters, 0, 100)
	}
	return resp, ok
}

func TestWritesAsTheUnitCanAndTellsWhatItKept(t *testing.T) {
	for _, without := range []modbus.FunctionCode{modbus.FuncWriteRegister, modbus.FuncWriteRegisters} {
		bank := new(modbus.Bank)
		bank.Set(modbus.HoldingRegisters, 0, 7)
		addr := servedTCP(t, picky{bank, without})
		for _, c := range []struct {
			value, want string
			code        int
		}{
			{"42", "unit 1, holding 40001 (wire 0): was 7, wrote 42, reads back 42\n", 0},
			{"900", "was 42, wrote 900, reads back 100\nunit 1 took the write, but keeps 100: it may limit, round or lock the value, or its program writes it too\n", 1},
		} {
			var out strings.Builder
			if code := run(t.Context(), []string{"modbus", "write", "--tcp", addr, "holding", "40001", c.value, "--yes"}, &out, &out); code != c.code || !strings.HasSuffix(out.String(), c.want) {
				t.Errorf("without %d: exit %d:\n%s\nwant %s", without, code, out.String(), c.want)
			}
		}
	}
}
