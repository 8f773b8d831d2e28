package batch

import (
	"crypto/hmac"
	"crypto/sha256"
	"errors"
)

// ErrMAC says that a document was not made under the site's key for this site.
var ErrMAC = errors.New("wrong mac")

// SiteKey derives the key of a site from the hub's master key: HMAC-SHA-256 of
// the site id under the master.
func SiteKey(master []byte, site string) Key {
	m := hmac.New(sha256.New, master)
	m.Write([]byte(site))
	return Key(m.Sum(nil))
}
