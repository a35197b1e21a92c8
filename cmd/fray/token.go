package main

import (
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"connectrpc.com/connect"
	"github.com/spf13/cobra"

	"github.com/frayrpc/fray/fray/access"
	"github.com/frayrpc/fray/internal/outgoing"
	"github.com/frayrpc/fray/internal/reread"
)

const (
	// tokenVariable has the secret that controller, workers and clients of a cluster share. There is no
	// flag for it, because everybody can read command lines.
	tokenVariable = outgoing.TokenVariable

	tokenFileOption   = "token-file"
	tokenFileVariable = "FRAY_TOKEN_FILE"

	// maxTokens is how many tokens a file has at most.
	maxTokens = 64
)

// addTokenFlag declares the option that names the file with the secret.
func (a *app) addTokenFlag(cmd *cobra.Command) {
	cmd.Flags().StringVar(&a.tokenFile, tokenFileOption, "",
		"take the secret that the cluster shares from this `file` rather than from "+tokenVariable+"; of several lines the first is shown, and each lets in")
	shared(cmd, tokenFileOption)
}

// secureByFile is secure with what a file says, now and when it changes.
func (a *app) secureByFile(path string) error {
	if a.secured {
		return usageError("both %s and --%s say what the token is: use one", tokenVariable, tokenFileOption)
	}
	path, err := filepath.Abs(path)
	if err != nil {
		return err
	}
	tokens, err := reread.New(slog.New(slog.NewTextHandler(a.stderr, nil)), "token", func() (secrets, error) {
		tokens, err := readTokens(path)
		if err != nil {
			return secrets{}, err
		}
		return newSecrets(tokens), nil
	}, path)
	if err != nil {
		return usageError("--%s: %w", tokenFileOption, err)
	}
	a.secureWith(tokens.Get)
	// Those that it starts.
	a.environ = append(slices.DeleteFunc(slices.Clone(a.environ), func(entry string) bool {
		return strings.HasPrefix(entry, tokenFileVariable+"=")
	}), tokenFileVariable+"="+path)
	return nil
}

// readTokens returns the tokens of a file: one a line, without empty lines and comments.
func readTokens(path string) (tokens []string, err error) {
	data, err := reread.File(path)
	if err != nil {
		return nil, err
	}
	n := 0
	for line := range strings.Lines(string(data)) {
		n++
		token := strings.TrimSpace(line)
		if token == "" || strings.HasPrefix(token, "#") {
			continue
		}
		if err := outgoing.CheckToken(token); err != nil {
			return nil, fmt.Errorf("%s:%d: %w", path, n, err)
		}
		tokens = append(tokens, token)
	}
	switch {
	case len(tokens) == 0:
		return nil, fmt.Errorf("%s has no token: write one on a line of its own", path)
	case len(tokens) > maxTokens:
		return nil, fmt.Errorf("%s has %d tokens; at most %d are allowed", path, len(tokens), maxTokens)
	}
	return tokens, nil
}

// secure has every server of the command refuse callers without the token, and every client show
// it.
func (a *app) secure(token string) {
	s := newSecrets([]string{token})
	a.secureWith(func() secrets { return s })
}

// secureWith is secure with secrets that may change.
func (a *app) secureWith(now func() secrets) {
	a.secured = true
	a.access = func() *access.Policy { return now().policy }
	a.shown = func() string { return now().shown }
	a.seams.clientOptions = append(a.seams.clientOptions, connect.WithInterceptors(outgoing.ShowToken(func() string { return now().shown })))
}

// secrets are tokens of which each lets in, and the first is shown.
type secrets struct {
	shown  string
	policy *access.Policy
}

func newSecrets(tokens []string) secrets { return secrets{tokens[0], access.Shared(tokens...)} }

// checkToken refuses an empty token for a command that serves: whoever set the variable wants to be
// protected by it.
func (a *app) checkToken() error {
	if slices.Contains(a.environ, tokenVariable+"=") {
		return usageError("%s is set, but empty: give it a secret, or unset it to let everybody in who reaches the port", tokenVariable)
	}
	return nil
}

// secureOwn gives a cluster that only this process and its children are to use a token of its own,
// unless there is one. Otherwise every user of this machine could have commands executed. It
// returns the token that it chose; empty: there was one.
func (a *app) secureOwn() string {
	if a.secured {
		return ""
	}
	token := rand.Text()
	a.secure(token)
	a.environ = append(slices.Clip(a.environ), tokenVariable+"="+token)
	return token
}

// hideToken keeps the token from the commands that a worker executes: out of the environment that they
// inherit, and of the one in which they can see what this process was started with.
func hideToken() error { return errors.Join(os.Unsetenv(tokenVariable), blotOut(tokenVariable)) }
