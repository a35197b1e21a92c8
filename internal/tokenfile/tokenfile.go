// Package tokenfile reads files with the secrets of a cluster.
package tokenfile

import (
	"fmt"
	"strings"

	"github.com/frayrpc/fray/internal/outgoing"
	"github.com/frayrpc/fray/internal/reread"
)

// Variable names a file with the secret that outgoing.TokenVariable has otherwise.
const Variable = "FRAY_TOKEN_FILE"

// maxTokens is how many tokens a file has at most.
const maxTokens = 64

// Read returns the tokens of a file, one at least: one a line, without empty lines and comments.
func Read(path string) (tokens []string, err error) {
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
