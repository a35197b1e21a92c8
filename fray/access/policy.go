package access

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"net/http"
	"strings"

	"github.com/frayrpc/fray/internal/glob"
)

// SharedName is what a caller is called that shows a token which all share.
const SharedName = "token"

// maxCertificateNames bounds the names of a certificate that are looked at.
const maxCertificateNames = 64

// Policy is which credential stands for which caller. It does not change, and is safe for concurrent
// use.
type Policy struct {
	// Tokens by their digest under a key that nobody knows. So a look-up costs the same for every token
	// but for what chance decides anew in each process, and nobody learns from its time how much of a
	// guess was right.
	key    [sha256.Size]byte
	tokens map[[sha256.Size]byte]*Caller
	// In the order of the file: the first that matches counts.
	certificates []certificate
	shared       bool
}

type certificate struct {
	pattern string
	caller  Caller // A * in its name stands for the name that matched.
}

func newPolicy() *Policy {
	p := &Policy{tokens: make(map[[sha256.Size]byte]*Caller)}
	_, _ = rand.Read(p.key[:]) // never fails
	return p
}

// Shared returns the policy of a cluster whose callers all show the same secret, of which several may
// be good at once: they may do everything, and jobs have no owners.
func Shared(tokens ...string) *Policy {
	p := newPolicy()
	p.shared = true
	for _, t := range tokens {
		p.tokens[p.digest(sha256.Sum256([]byte(t)))] = &Caller{Name: SharedName, Roles: Everything, Shown: Token, Shared: true}
	}
	return p
}

// WantsCertificates says whether certificates stand for some of its callers, for which a server must
// ask.
func (p *Policy) WantsCertificates() bool { return len(p.certificates) > 0 }

func (p *Policy) digest(sum [sha256.Size]byte) [sha256.Size]byte {
	var both [2 * sha256.Size]byte
	copy(both[:], p.key[:])
	copy(both[sha256.Size:], sum[:])
	return sha256.Sum256(both[:])
}

// Identify returns the caller of a request: by the token that it shows, and where it shows none by the
// certificate that its connection has and that was verified. False: it has neither, or they are
// unknown.
func (p *Policy) Identify(r *http.Request) (*Caller, bool) {
	if header := r.Header.Get("Authorization"); header != "" {
		token, ok := strings.CutPrefix(header, "Bearer ")
		if !ok {
			return nil, false
		}
		c, ok := p.tokens[p.digest(sha256.Sum256([]byte(token)))]
		return c, ok
	}
	if r.TLS == nil || len(r.TLS.VerifiedChains) == 0 || len(r.TLS.VerifiedChains[0]) == 0 {
		return nil, false
	}
	return p.certified(r.TLS.VerifiedChains[0][0])
}

// certified returns the caller of a certificate.
func (p *Policy) certified(leaf *x509.Certificate) (*Caller, bool) {
	if len(p.certificates) == 0 {
		return nil, false
	}
	names := make([]string, 0, 1+len(leaf.DNSNames)+len(leaf.URIs))
	if leaf.Subject.CommonName != "" {
		names = append(names, leaf.Subject.CommonName)
	}
	names = append(names, leaf.DNSNames...)
	for _, u := range leaf.URIs {
		names = append(names, u.String())
	}
	names = names[:min(len(names), maxCertificateNames)]
	for i := range p.certificates {
		c := &p.certificates[i]
		for _, name := range names {
			if !glob.Match(c.pattern, name) {
				continue
			}
			caller := c.caller
			if strings.Contains(caller.Name, "*") {
				caller.Name = strings.ReplaceAll(caller.Name, "*", name)
				if checkName(caller.Name) != nil {
					continue
				}
			}
			return &caller, true
		}
	}
	return nil, false
}
