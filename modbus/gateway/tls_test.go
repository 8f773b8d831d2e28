package gateway

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"skyhaul/modbus"
)

// authority vouches for certificates.
type authority struct {
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
	pool *x509.CertPool
}

func newAuthority(t *testing.T) authority {
	t.Helper()
	var a authority
	c := a.issue(t, &x509.Certificate{IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign})
	a.key = c.PrivateKey.(*ecdsa.PrivateKey)
	a.cert = c.Leaf
	a.pool = x509.NewCertPool()
	a.pool.AddCert(a.cert)
	return a
}

func (a authority) issue(t *testing.T, template *x509.Certificate) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template.SerialNumber, template.NotAfter = big.NewInt(time.Now().UnixNano()), time.Now().Add(time.Hour)
	parent, signer := a.cert, a.key
	if parent == nil {
		parent, signer = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

// person returns the certificate of a client with a role, none if it is "".
func (a authority) person(t *testing.T, role string) tls.Certificate {
	t.Helper()
	c := &x509.Certificate{ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
	if role != "" {
		v, err := asn1.MarshalWithParams(role, "utf8")
		if err != nil {
			t.Fatal(err)
		}
		c.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 50316, 802, 1}, Value: v}}
	}
	return a.issue(t, c)
}

func TestRolesDecideOverTLS(t *testing.T) {
	a := newAuthority(t)
	var mu sync.Mutex
	var roles []string // that wrote
	p := open(t, modbus.Units{5: numbered()}, line115200, Options{
		Audit: func(e Event) {
			mu.Lock()
			defer mu.Unlock()
			if !e.Refused {
				roles = append(roles, e.Role)
			}
		},
	}, DoorOptions{
		Readers: []string{"viewer", "operator"},
		Writes:  []Write{{Unit: 5, First: 0, Last: 9, Roles: []string{"operator"}}},
	})
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := a.issue(t, &x509.Certificate{IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}})
	ctx, cancel := context.WithCancel(t.Context())
	var serving sync.WaitGroup
	defer serving.Wait()
	defer cancel()
	serving.Go(func() {
		if err := p.Serve(ctx, tls.NewListener(ln, modbus.ServerTLS(server, a.pool))); err != nil {
			t.Error(err)
		}
	})
	dial := func(c tls.Certificate) (*tls.Conn, error) {
		return tls.Dial("tcp", ln.Addr().String(), modbus.ClientTLS(c, a.pool, "127.0.0.1"))
	}
	req, write := read(t, 3, 5, 1), modbus.WriteRegister(5, 77)
	for _, tt := range []struct {
		role         string
		reads, write bool
	}{
		{"operator", true, true},
		{"viewer", true, false},
		{"visitor", false, false},
		{"", false, false},
	} {
		conn, err := dial(a.person(t, tt.role))
		if err != nil {
			t.Fatal(err)
		}
		c := tcpClient{conn, t}
		if got := c.ask(5, req).Function() == 3; got != tt.reads {
			t.Errorf("role %q reads: %v", tt.role, got)
		}
		if got := slices.Equal(c.ask(5, write), write); got != tt.write {
			t.Errorf("role %q writes: %v", tt.role, got)
		}
		conn.Close()
	}
	if got := p.client(t).ask(5, write); !slices.Equal(got, modbus.IllegalFunction.Answer(write)) {
		t.Errorf("a write without TLS: % X", []byte(got))
	}
	if got := p.client(t).ask(5, req); got.Function() != 3 {
		t.Errorf("a read without TLS, on the address that is served without: % X", []byte(got))
	}
	mu.Lock()
	defer mu.Unlock()
	if !slices.Equal(roles, []string{"operator"}) {
		t.Errorf("wrote: %q", roles)
	}
	stranger, err := dial(newAuthority(t).person(t, "operator"))
	if err == nil { // with TLS 1.3 the client learns it by its first read
		_, err = stranger.Read(make([]byte, 1))
	}
	if err == nil {
		t.Error("a client that nobody vouches for was let in")
	}
}
