package modbus_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"math/big"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"skyhaul/modbus"
)

var roleExtension = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 50316, 802, 1}

// roles are the extensions that give a certificate these roles.
func roles(t *testing.T, names ...string) (all []pkix.Extension) {
	for _, name := range names {
		value, err := asn1.MarshalWithParams(name, "utf8")
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, pkix.Extension{Id: roleExtension, Value: value})
	}
	return all
}

// authority issues certificates.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) authority {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "plant"}, IsCA: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageCertSign, BasicConstraintsValid: true,
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return authority{cert, key}
}

func (a authority) pool() *x509.CertPool {
	p := x509.NewCertPool()
	p.AddCert(a.cert)
	return p
}

// issue returns a certificate for 127.0.0.1, valid for so long from now.
func (a authority) issue(t *testing.T, validity time.Duration, extensions []pkix.Extension) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "device"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(validity),
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, ExtraExtensions: extensions,
	}, a.cert, &key.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// operatorsWrite lets a null role do nothing and only operators write.
func operatorsWrite(role string, _ modbus.UnitID, req modbus.PDU) bool {
	return role == "operator" || role != "" && req.Function().Reads()
}

// serveTLS serves the station on a port of its own until the test ends.
func serveTLS(t *testing.T, c *tls.Config) (addr string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	units, _ := station()
	ctx, stop := context.WithCancel(t.Context())
	var server sync.WaitGroup
	server.Go(func() {
		for {
			raw, err := l.Accept()
			if err != nil {
				return
			}
			server.Go(func() { serveSecurely(ctx, tls.Server(raw, c), units) })
		}
	})
	t.Cleanup(func() {
		stop()
		l.Close()
		server.Wait()
	})
	return l.Addr().String()
}

func serveSecurely(ctx context.Context, conn *tls.Conn, units modbus.Units) {
	defer conn.Close()
	if conn.HandshakeContext(ctx) != nil {
		return
	}
	role, _ := modbus.Role(conn.ConnectionState().PeerCertificates[0]) // the handshake refuses what is none
	_ = modbus.Serve(ctx, conn, modbus.TCP, modbus.LineTiming{}, byRole{units, role})
}

// byRole lets units answer what a role may ask for.
type byRole struct {
	modbus.Units
	role string
}

func (h byRole) Handle(unit modbus.UnitID, req modbus.PDU) (resp modbus.PDU, ok bool) {
	if !operatorsWrite(h.role, unit, req) {
		return modbus.IllegalFunction.Answer(req), true
	}
	return h.Units.Handle(unit, req)
}

// ask reads a register through TLS.
func ask(t *testing.T, addr string, c *tls.Config, req modbus.PDU) (modbus.Answer, error) {
	t.Helper()
	conn, err := (&tls.Dialer{Config: c}).DialContext(t.Context(), "tcp", addr)
	if err != nil {
		return modbus.Answer{}, err
	}
	defer conn.Close()
	return modbus.NewClient(conn, modbus.TCP, modbus.LineTiming{}).Do(t.Context(), 17, req, 10*time.Second)
}

func TestServerKnowsItsClientsByCertificate(t *testing.T) {
	plant, other := newAuthority(t), newAuthority(t)
	addr := serveTLS(t, modbus.ServerTLS(plant.issue(t, time.Hour, nil), plant.pool()))
	reading, writing := read(t, modbus.FuncReadHoldingRegisters, 10, 1), modbus.WriteRegister(10, 1)
	tests := []struct {
		name        string
		cert        tls.Certificate
		read, write error // of any kind where it is errRefused
	}{
		{"operator", plant.issue(t, time.Hour, roles(t, "operator")), nil, nil},
		{"viewer", plant.issue(t, time.Hour, roles(t, "viewer")), nil, modbus.IllegalFunction},
		{"no role", plant.issue(t, time.Hour, nil), modbus.IllegalFunction, modbus.IllegalFunction},
		{"two roles", plant.issue(t, time.Hour, roles(t, "viewer", "operator")), errRefused, errRefused},
		{"role that is no text", plant.issue(t, time.Hour, []pkix.Extension{{Id: roleExtension, Value: []byte{2, 1, 7}}}), errRefused, errRefused},
		{"another authority", other.issue(t, time.Hour, roles(t, "operator")), errRefused, errRefused},
		{"expired", plant.issue(t, -time.Minute, roles(t, "operator")), errRefused, errRefused},
		{"no certificate", tls.Certificate{}, errRefused, errRefused},
	}
	for _, tt := range tests {
		for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
			t.Run(tt.name+"/"+tls.VersionName(version), func(t *testing.T) {
				c := modbus.ClientTLS(tt.cert, plant.pool(), "127.0.0.1")
				c.MaxVersion = version
				for _, x := range []struct {
					req  modbus.PDU
					want error
				}{{reading, tt.read}, {writing, tt.write}} {
					a, err := ask(t, addr, c, x.req)
					_, declined := errors.AsType[modbus.Exception](err)
					if x.want == errRefused && (err == nil || declined) || x.want != errRefused && !errors.Is(err, x.want) {
						t.Errorf("% X: % X, %v, want %v", []byte(x.req), []byte(a.PDU), err, x.want)
					}
				}
			})
		}
	}
}

var errRefused = errors.New("no connection")

func TestClientKnowsItsServerByCertificate(t *testing.T) {
	plant, other := newAuthority(t), newAuthority(t)
	operator := plant.issue(t, time.Hour, roles(t, "operator"))
	reading := read(t, modbus.FuncReadHoldingRegisters, 10, 1)
	tests := []struct {
		name   string
		server tls.Certificate
		client func(*tls.Config)
		why    string
	}{
		{"the right one", plant.issue(t, time.Hour, nil), func(*tls.Config) {}, ""},
		{"another authority", other.issue(t, time.Hour, nil), func(*tls.Config) {}, "unknown authority"},
		{"expired", plant.issue(t, -time.Minute, nil), func(*tls.Config) {}, "expired"},
		{"another name", plant.issue(t, time.Hour, nil), func(c *tls.Config) { c.ServerName = "plc.example" }, "plc.example"},
		{"old TLS", plant.issue(t, time.Hour, nil), func(c *tls.Config) { c.MinVersion, c.MaxVersion = tls.VersionTLS10, tls.VersionTLS11 }, "protocol version"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			addr := serveTLS(t, modbus.ServerTLS(tt.server, plant.pool()))
			c := modbus.ClientTLS(operator, plant.pool(), "127.0.0.1")
			tt.client(c)
			_, err := ask(t, addr, c, reading)
			if (err == nil) != (tt.why == "") || err != nil && !strings.Contains(err.Error(), tt.why) {
				t.Errorf("got %v, want %q", err, tt.why)
			}
		})
	}
}

// Package crypto/tls takes nil for the authorities of the operating system.
func TestNoAuthorityTrustsNobody(t *testing.T) {
	plant := newAuthority(t)
	cert := plant.issue(t, time.Hour, roles(t, "operator"))
	reading := read(t, modbus.FuncReadHoldingRegisters, 10, 1)
	addr := serveTLS(t, modbus.ServerTLS(cert, plant.pool()))
	if _, err := ask(t, addr, modbus.ClientTLS(cert, nil, "127.0.0.1"), reading); err == nil {
		t.Error("a client without authorities trusts a server")
	}
	addr = serveTLS(t, modbus.ServerTLS(cert, nil))
	if _, err := ask(t, addr, modbus.ClientTLS(cert, plant.pool(), "127.0.0.1"), reading); err == nil {
		t.Error("a server without authorities trusts a client")
	}
	if modbus.ClientTLS(cert, nil, "").RootCAs == nil || modbus.ServerTLS(cert, nil).ClientCAs == nil {
		t.Error("the authorities of the operating system are trusted")
	}
}

func TestRoleIsOneText(t *testing.T) {
	one := roles(t, "Prozeßleitung")
	tests := []struct {
		name       string
		extensions []pkix.Extension
		want       string
		ok         bool
	}{
		{"one", one, "Prozeßleitung", true},
		{"none", nil, "", true},
		{"two", roles(t, "a", "b"), "", false},
		{"empty", roles(t, ""), "", false},
		{"more behind it", []pkix.Extension{{Id: roleExtension, Value: append(slices.Clone(one[0].Value), 0)}}, "", false},
		{"printable string", []pkix.Extension{{Id: roleExtension, Value: []byte{19, 1, 'a'}}}, "", false},
		{"broken UTF-8", []pkix.Extension{{Id: roleExtension, Value: []byte{12, 1, 0xFF}}}, "", false},
		{"cut", []pkix.Extension{{Id: roleExtension, Value: one[0].Value[:4]}}, "", false},
		{"nothing", []pkix.Extension{{Id: roleExtension}}, "", false},
		{"another extension", []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 50316, 802, 2}, Value: one[0].Value}}, "", true},
	}
	for _, tt := range tests {
		got, err := modbus.Role(&x509.Certificate{Extensions: tt.extensions})
		if got != tt.want && tt.ok || (err == nil) != tt.ok {
			t.Errorf("%s: %q, %v, want %q", tt.name, got, err, tt.want)
		}
	}
}

// A role is whatever a certificate says, as long as it is one text.
func FuzzRole(f *testing.F) {
	f.Add([]byte{12, 1, 'a'}, false)
	f.Add([]byte{12, 0x81, 1, 'a'}, true)
	f.Add([]byte{12, 2, 0xC3, 0x9F, 0}, false)
	f.Fuzz(func(t *testing.T, value []byte, twice bool) {
		cert := &x509.Certificate{Extensions: []pkix.Extension{{Id: roleExtension, Value: value}}}
		if twice {
			cert.Extensions = append(cert.Extensions, cert.Extensions[0])
		}
		role, err := modbus.Role(cert)
		if err == nil && (twice || role == "" || !bytes.HasSuffix(value, []byte(role)) || !utf8.ValidString(role)) {
			t.Errorf("% X gives the role %q", value, role)
		}
	})
}
