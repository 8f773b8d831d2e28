package mqtt_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"skyhaul/link/mqtt"
)

// authority signs certificates into files of a test's own folder.
type authority struct {
	testing.TB
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	dir  string
	file string
}

func newAuthority(t testing.TB) *authority {
	a := &authority{TB: t, dir: t.TempDir()}
	a.file, _ = a.sign("ca", &x509.Certificate{IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign})
	return a
}

// issue returns the files of a certificate that serves both sides.
func (a *authority) issue(name string) (cert, key string) {
	return a.sign(name, &x509.Certificate{
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		DNSNames:    []string{"broker.example"},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	})
}

func (a *authority) sign(name string, c *x509.Certificate) (cert, key string) {
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.Fatal(err)
	}
	c.SerialNumber, c.Subject = big.NewInt(time.Now().UnixNano()), pkix.Name{CommonName: name}
	c.NotBefore, c.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	parent, signer := a.cert, a.key
	if parent == nil {
		parent, signer = c, k
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, k.Public(), signer)
	if err != nil {
		a.Fatal(err)
	}
	if a.cert == nil {
		a.cert, _ = x509.ParseCertificate(der)
		a.key = k
	}
	pk, _ := x509.MarshalPKCS8PrivateKey(k)
	return a.write(name+".crt", "CERTIFICATE", der), a.write(name+".key", "PRIVATE KEY", pk)
}

func (a *authority) write(name, kind string, der []byte) string {
	path := filepath.Join(a.dir, name)
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		a.Fatal(err)
	}
	return path
}

func (a *authority) server(name string) *tls.Config {
	cert, key := a.issue(name)
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		a.Fatal(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{pair}}
}

func TestMosquittoOverTLSWithClientCertificates(t *testing.T) {
	a := newAuthority(t)
	cert, key := a.issue("broker")
	addr := startMosquitto(t, "allow_anonymous false\nrequire_certificate true\nuse_identity_as_username true\n"+
		"cafile "+a.file+"\ncertfile "+cert+"\nkeyfile "+key+"\n")
	done := errors.New("done")
	visit := func(o mqtt.TLSOptions) error {
		dial, err := mqtt.DialTLS(mqtt.DialTCP(addr), addr, o)
		if err != nil {
			t.Fatal(err)
		}
		s := mqtt.New(mqtt.Options{Dial: dial, ClientID: "a", CleanStart: true, Subscribe: []string{"x"}, Birth: connectedBy("x")})
		return s.Run(t.Context(), func(string, []byte) error { return done })
	}
	ours, ourKey := a.issue("site-7")
	if err := visit(mqtt.TLSOptions{CAFile: a.file, CertFile: ours, KeyFile: ourKey}); err != done {
		t.Errorf("with our certificate: %v", err)
	}
	if err := visit(mqtt.TLSOptions{CAFile: a.file}); err == nil || !strings.Contains(err.Error(), "certificate required") {
		t.Errorf("without a certificate: %v", err)
	}
	foreign, foreignKey := newAuthority(t).issue("site-7")
	if err := visit(mqtt.TLSOptions{CAFile: a.file, CertFile: foreign, KeyFile: foreignKey}); err == nil || !strings.Contains(err.Error(), "unknown certificate authority") {
		t.Errorf("with a foreign certificate: %v", err)
	}
}

// accept serves TLS on loopback and reports what each client offered.
func accept(t *testing.T, c *tls.Config) (addr string, hellos <-chan tls.ClientHelloInfo) {
	offered := make(chan tls.ClientHelloInfo, 10)
	c.GetConfigForClient = func(h *tls.ClientHelloInfo) (*tls.Config, error) {
		offered <- *h
		return nil, nil
	}
	l, err := tls.Listen("tcp", "127.0.0.1:0", c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				conn.Write([]byte("x"))
				io.Copy(io.Discard, conn)
				conn.Close()
			}()
		}
	}()
	return l.Addr().String(), offered
}

func TestDialTLSOffersSmallKeysAndResumes(t *testing.T) {
	a := newAuthority(t)
	addr, hellos := accept(t, a.server("broker"))
	for hybrid, want := range map[bool][]tls.CurveID{
		false: {tls.X25519, tls.CurveP256},
		true:  {tls.X25519MLKEM768},
	} {
		dial, err := mqtt.DialTLS(mqtt.DialTCP(addr), addr, mqtt.TLSOptions{CAFile: a.file, ServerName: "broker.example", Hybrid: hybrid})
		if err != nil {
			t.Fatal(err)
		}
		for _, resumed := range []bool{false, true} {
			conn, err := dial(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			conn.Read(make([]byte, 1)) // brings the ticket
			state := conn.(*tls.Conn).ConnectionState()
			if state.Version != tls.VersionTLS13 || state.DidResume != resumed || state.CurveID != want[0] {
				t.Errorf("hybrid %v: version %x, resumed %v, want %v, curve %v", hybrid, state.Version, state.DidResume, resumed, state.CurveID)
			}
			hello := <-hellos
			if hello.ServerName != "broker.example" || !hybrid && !slices.Equal(hello.SupportedCurves, want) {
				t.Errorf("offered %v to %q", hello.SupportedCurves, hello.ServerName)
			}
			conn.Close()
		}
	}
}

func TestDialTLSSaysWhatIsWrong(t *testing.T) {
	a := newAuthority(t)
	addr, _ := accept(t, a.server("broker"))
	old := a.server("old")
	old.MaxVersion = tls.VersionTLS12
	oldAddr, _ := accept(t, old)
	nextYear := func() time.Time { return time.Now().AddDate(1, 0, 0) }
	for _, c := range []struct {
		addr string
		o    mqtt.TLSOptions
		want string
	}{
		{addr, mqtt.TLSOptions{CAFile: newAuthority(t).file}, "unknown authority"},
		{addr, mqtt.TLSOptions{CAFile: a.file, ServerName: "else.example"}, "not else.example"},
		{addr, mqtt.TLSOptions{CAFile: a.file, Time: nextYear}, "expired"},
		{oldAddr, mqtt.TLSOptions{CAFile: a.file}, "protocol version not supported"},
		{freeAddr(t), mqtt.TLSOptions{CAFile: a.file}, "connection refused"},
		{addr, mqtt.TLSOptions{CAFile: "/nowhere/ca.pem"}, "/nowhere/ca.pem: no such file"},
		{addr, mqtt.TLSOptions{CAFile: os.Args[0]}, "no certificate in PEM form"},
		{addr, mqtt.TLSOptions{CertFile: a.file}, "client certificate"},
		{"broker.example", mqtt.TLSOptions{}, "missing port"},
	} {
		dial, err := mqtt.DialTLS(mqtt.DialTCP(c.addr), c.addr, c.o)
		if err == nil {
			_, err = dial(t.Context())
		}
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v, want %q", c.o, err, c.want)
		}
	}
}

func TestDialGivesUpWithItsContext(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0") // nobody accepts, nobody shakes hands
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	dial, err := mqtt.DialTLS(mqtt.DialTCP(l.Addr().String()), l.Addr().String(), mqtt.TLSOptions{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := dial(ctx); err == nil {
		t.Error("dialled")
	}
	if err := mqtt.New(mqtt.Options{Dial: dial}).Run(ctx, nothing); err != nil {
		t.Errorf("Run after the end of its context: %v", err)
	}
}
