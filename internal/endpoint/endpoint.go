// Package endpoint reads where a controller is.
package endpoint

import (
	"fmt"
	"net/url"
	"strings"
)

// Parse returns the URL of a controller from one such as "http://10.0.0.5:7070", or from
// "host:port", which means http. Clients, workers and commands take addresses by it alone, so that
// what one of them takes, all do.
func Parse(address string) (string, error) {
	text := address
	if !strings.Contains(text, "://") {
		text = "http://" + text
	}
	u, err := url.Parse(text)
	if err != nil {
		return "", fmt.Errorf("parse controller address: %w", err)
	}
	if (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" {
		return "", fmt.Errorf("controller address %q must be like http://host:port or host:port", address)
	}
	return strings.TrimRight(u.String(), "/"), nil
}
