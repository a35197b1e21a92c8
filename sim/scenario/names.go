package scenario

// Names is one name or a list of them.
type Names []string

func (Names) schema() map[string]any {
	name := map[string]any{"type": "string", "minLength": 1}
	return map[string]any{"anyOf": []any{
		name,
		map[string]any{"type": "array", "items": name, "minItems": 1, "maxItems": MaxListed},
	}}
}

// WorkerHosts returns the hosts of a group of workers.
func (g *WorkerGroup) WorkerHosts() []string { return hostNames(g.Name, g.Count) }

// ClientHosts returns the hosts of a group of clients.
func (g *ClientGroup) ClientHosts() []string { return hostNames(g.Name, g.Count) }
