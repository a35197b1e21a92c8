package dial

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"os"

	"github.com/frayrpc/fray/fray/certs"
	"github.com/frayrpc/fray/internal/outgoing"
	"github.com/frayrpc/fray/internal/reread"
	"github.com/frayrpc/fray/internal/tokenfile"
)

// Variables that say how to reach a controller, to programs as to the command fray.
const (
	caVariable         = "FRAY_CA"
	certVariable       = "FRAY_TLS_CERT"
	keyVariable        = "FRAY_TLS_KEY"
	minVersionVariable = "FRAY_TLS_MIN_VERSION"
)

// environment returns a variable's value.
func environment(name string) string {
	return os.Getenv(name) //nolint:forbidigo // Who has its target follow the environment says so.
}

// environmentToken returns the secret that the environment has, or names the file of, which is read
// again when it changes; nil: it has none.
func environmentToken(log *slog.Logger) (func() string, error) {
	token, path := environment(outgoing.TokenVariable), environment(tokenfile.Variable)
	switch {
	case token != "" && path != "":
		return nil, fmt.Errorf("both %s and %s say what the token is: use one", outgoing.TokenVariable, tokenfile.Variable)
	case token != "":
		return func() string { return token }, outgoing.CheckToken(token)
	case path == "":
		return nil, nil
	}
	tokens, err := reread.New(log, "token", func() (string, error) {
		tokens, err := tokenfile.Read(path)
		if err != nil {
			return "", err
		}
		return tokens[0], nil // Read returns one at least.
	}, path)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", tokenfile.Variable, err)
	}
	return tokens.Get, nil
}

// environmentTLS returns what the environment says of TLS.
func environmentTLS() (certs.Files, error) {
	f := certs.Files{CA: environment(caVariable), Cert: environment(certVariable), Key: environment(keyVariable)}
	switch v := environment(minVersionVariable); v {
	case "", "1.3":
	case "1.2":
		f.MinVersion = tls.VersionTLS12
	default:
		return f, fmt.Errorf("%s: %q is neither 1.3 nor 1.2", minVersionVariable, v)
	}
	if (f.Cert == "") != (f.Key == "") {
		return f, errors.New(certVariable + " and " + keyVariable + " go together: set both, or none")
	}
	if err := f.Validate(); err != nil {
		return f, fmt.Errorf("%s, %s, %s: %w", caVariable, certVariable, keyVariable, err)
	}
	return f, nil
}
