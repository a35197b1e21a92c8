package access

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"

	"github.com/frayrpc/fray/internal/outgoing"
	"github.com/frayrpc/fray/internal/reread"
	"github.com/frayrpc/fray/internal/spelling"
)

// Bounds of a file.
const (
	// MaxLines is how many credentials it has at most.
	MaxLines = 1024
	// MaxLineBytes is how long a line is at most.
	MaxLineBytes = 1024
	// MaxNameBytes is how long a caller's name is at most.
	MaxNameBytes = 128
	// MinTokenBytes is how long a token is at least that the file has in plain text. Nothing but its
	// length keeps it from being guessed.
	MinTokenBytes = 16
)

// othersWrite is the bit of a file's mode that lets all users write it.
const othersWrite = 0o002

// hashed comes before the hexadecimal SHA-256 of a token, in place of the token.
const hashed = "sha256:"

const (
	kindToken       = "token"
	kindCertificate = "certificate"
)

// Follow reads a file as Read does, and returns what has its policy as of now: the file is read again
// when it changes, and while it cannot be used what it said before counts, which the log is told.
func Follow(log *slog.Logger, path string) (func() *Policy, error) {
	v, err := reread.New(log, "access", func() (*Policy, error) { return Read(path) }, path)
	if err != nil {
		return nil, err
	}
	return v.Get, nil
}

// Read reads a policy from a file. A line has four words: what kind of credential, what is shown, the
// caller's name, and its roles with commas between them.
//
//	# Comments and empty lines say nothing.
//	token        sha256:9f86d081884c7d65…  alice    client
//	token        a-secret-of-16-bytes      deploy   client,operator
//	certificate  build-*.example.com       *        worker
//
// A token is shown as it is, and stands here as it is or as its SHA-256 in hexadecimal. A certificate
// is one that the server has verified: its common name, or a name or URI for which it is good, is what
// the pattern describes, in which each * stands for any text. In the name of its caller a * stands for
// the name that matched. Of several lines for certificates the first that matches counts.
//
// An error names the file and the line.
func Read(path string) (*Policy, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.Mode().Perm()&othersWrite != 0 {
		return nil, fmt.Errorf("%s can be written by all users, who could let in whom they like: chmod o-w it", path)
	}
	data, err := reread.File(path)
	if err != nil {
		return nil, err
	}
	return Parse(path, string(data))
}

// Parse is Read of a text, under the name that its errors give it.
func Parse(path, text string) (*Policy, error) {
	p := newPolicy()
	lines := make(map[[sha256.Size]byte]int)
	n, entries := 0, 0
	for line := range strings.Lines(text) {
		n++
		words := strings.Fields(line)
		if len(words) == 0 || strings.HasPrefix(words[0], "#") {
			continue
		}
		if entries++; entries > MaxLines {
			return nil, fmt.Errorf("%s:%d: there are more than %d credentials: certificates with a pattern need one line for many", path, n, MaxLines)
		}
		if err := p.line(line, words, lines, n); err != nil {
			return nil, fmt.Errorf("%s:%d: %w", path, n, err)
		}
	}
	if entries == 0 {
		return nil, fmt.Errorf("%s has no credential, so nobody could call: write one on a line, such as: token SECRET alice client", path)
	}
	return p, nil
}

// line takes in a line. It says nothing of what is shown, which is a secret.
func (p *Policy) line(line string, words []string, lines map[[sha256.Size]byte]int, n int) error {
	switch {
	case len(line) > MaxLineBytes:
		return fmt.Errorf("the line has %d bytes; at most %d are allowed", len(line), MaxLineBytes)
	case words[0] != kindToken && words[0] != kindCertificate:
		near := ""
		if s := spelling.Nearest(words[0], []string{kindToken, kindCertificate}); s != "" {
			near = fmt.Sprintf(": did you mean %q?", s)
		}
		return fmt.Errorf("a line begins with token or certificate%s", near)
	case len(words) != 4:
		return fmt.Errorf("a line has four words, and this one has %d: %s, what is shown, the caller's name, its roles with commas between them", len(words), words[0])
	}
	shown, c := words[1], Caller{Name: words[2], Shown: Credential(words[0])}
	var err error
	if c.Roles, err = ParseRoles(words[3]); err != nil {
		return err
	}
	if words[0] == kindCertificate {
		if err := checkName(strings.ReplaceAll(c.Name, "*", "x")); err != nil {
			return err
		}
		p.certificates = append(p.certificates, certificate{pattern: shown, caller: c})
		return nil
	}
	if err := checkName(c.Name); err != nil {
		return err
	}
	sum, err := tokenSum(shown)
	if err != nil {
		return err
	}
	digest := p.digest(sum)
	if before := lines[digest]; before != 0 {
		return fmt.Errorf("this token is that of line %d, too: give each caller one of its own", before)
	}
	lines[digest] = n
	p.tokens[digest] = &c
	return nil
}

// tokenSum returns the SHA-256 of a token as the file has it.
func tokenSum(shown string) (sum [sha256.Size]byte, err error) {
	if text, ok := strings.CutPrefix(shown, hashed); ok {
		b, err := hex.DecodeString(text)
		if err != nil || len(b) != len(sum) {
			return sum, fmt.Errorf("after %s come %d hexadecimal digits, as sha256sum prints them: printf %%s TOKEN | sha256sum", hashed, 2*len(sum))
		}
		copy(sum[:], b)
		return sum, nil
	}
	if len(shown) < MinTokenBytes {
		return sum, fmt.Errorf("the token has %d characters, and needs %d so that nobody guesses it: openssl rand -hex 32 makes one", len(shown), MinTokenBytes)
	}
	if outgoing.CheckToken(shown) != nil {
		return sum, errors.New("the token must be of printable ASCII")
	}
	return sha256.Sum256([]byte(shown)), nil
}

// checkName returns what is wrong with a caller's name.
func checkName(name string) error {
	if len(name) < 1 || len(name) > MaxNameBytes {
		return fmt.Errorf("a caller's name has 1 to %d characters, and this one has %d", MaxNameBytes, len(name))
	}
	for i := range len(name) {
		switch c := name[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', strings.IndexByte("._:/-@+", c) >= 0:
		default:
			return fmt.Errorf("the caller's name %q may have letters, digits and any of . _ : / - @ +", name)
		}
	}
	return nil
}
