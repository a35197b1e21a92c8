package command

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"connectrpc.com/connect"
	"github.com/spf13/pflag"

	"github.com/frayrpc/fray/fray/access"
	"github.com/frayrpc/fray/internal/outgoing"
	"github.com/frayrpc/fray/internal/reread"
	"github.com/frayrpc/fray/internal/tokenfile"
)

const (
	// TokenVariable has the secret that controller, workers and clients of a cluster share. There is no
	// flag for it, because everybody can read command lines.
	TokenVariable = outgoing.TokenVariable

	// TokenFileOption names the file with that secret.
	TokenFileOption = "token-file"
	// TokenFileVariable does so, too.
	TokenFileVariable = tokenfile.Variable
)

// AddTokenFlag declares the option that names the file with the secret.
func (p *Process) AddTokenFlag(flags *pflag.FlagSet) {
	flags.StringVar(&p.tokenFile, TokenFileOption, "",
		"take the secret that the cluster shares from this `file` rather than from "+TokenVariable+"; of several lines the first is shown, and each lets in")
	Shared(flags, TokenFileOption)
}

// secureByFile is Secure with what a file says, now and when it changes.
func (p *Process) secureByFile(path string) error {
	if p.Secured {
		return UsageError("both %s and --%s say what the token is: use one", TokenVariable, TokenFileOption)
	}
	path, err := filepath.Abs(path)
	if err != nil {
		return err
	}
	tokens, err := reread.New(slog.New(slog.NewTextHandler(p.Stderr, nil)), "token", func() (secrets, error) {
		tokens, err := tokenfile.Read(path)
		if err != nil {
			return secrets{}, err
		}
		return newSecrets(tokens), nil
	}, path)
	if err != nil {
		return UsageError("--%s: %w", TokenFileOption, err)
	}
	p.secureWith(tokens.Get)
	// Those that it starts.
	p.Environ = append(slices.DeleteFunc(slices.Clone(p.Environ), func(entry string) bool {
		return strings.HasPrefix(entry, TokenFileVariable+"=")
	}), TokenFileVariable+"="+path)
	return nil
}

// Secure has every server of the process refuse callers without the token, and every client show
// it.
func (p *Process) Secure(token string) {
	s := newSecrets([]string{token})
	p.secureWith(func() secrets { return s })
}

// secureWith is Secure with secrets that may change.
func (p *Process) secureWith(now func() secrets) {
	p.Secured = true
	p.access = func() *access.Policy { return now().policy }
	p.Shown = func() string { return now().shown }
	p.Seams.ClientOptions = append(p.Seams.ClientOptions, connect.WithInterceptors(outgoing.ShowToken(func() string { return now().shown })))
}

// secrets are tokens of which each lets in, and the first is shown.
type secrets struct {
	shown  string
	policy *access.Policy
}

func newSecrets(tokens []string) secrets { return secrets{tokens[0], access.Shared(tokens...)} }

// CheckToken refuses an empty token for a command that serves: whoever set the variable wants to be
// protected by it.
func (p *Process) CheckToken() error {
	if slices.Contains(p.Environ, TokenVariable+"=") {
		return UsageError("%s is set, but empty: give it a secret, or unset it to let everybody in who reaches the port", TokenVariable)
	}
	return nil
}

// HideToken keeps the token from the commands that a worker executes: out of the environment that they
// inherit, and of the one in which they can see what this process was started with.
func HideToken() error { return errors.Join(os.Unsetenv(TokenVariable), blotOut(TokenVariable)) }
