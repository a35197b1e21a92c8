// Package endpoint reads where a controller is.
package endpoint

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// most is how many addresses one cluster may have.
const most = 16

// Parse returns the URL of a controller from one such as "http://10.0.0.5:7070", or from
// "host:port", which means http. Of several controllers the addresses are separated by commas, and so
// are the URLs that it returns: see List. Clients, workers and commands take addresses by it alone, so
// that what one of them takes, all do.
func Parse(address string) (string, error) {
	var urls []string
	for one := range strings.SplitSeq(address, ",") {
		u, err := parse(one)
		if err != nil {
			return "", err
		}
		if !slices.Contains(urls, u) {
			urls = append(urls, u)
		}
		if strings.HasPrefix(u, "https://") != strings.HasPrefix(urls[0], "https://") {
			return "", fmt.Errorf("controller addresses %q must all be http:// or all https://", address)
		}
	}
	if len(urls) > most {
		return "", fmt.Errorf("there are %d controller addresses; at most %d are allowed", len(urls), most)
	}
	return strings.Join(urls, ","), nil
}

// List returns the URLs in what Parse has returned.
func List(urls string) []string { return strings.Split(urls, ",") }

func parse(address string) (string, error) {
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
