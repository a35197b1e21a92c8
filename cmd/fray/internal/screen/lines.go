package screen

import "bytes"

// Write implements io.Writer.
func (l *wholeLines) Write(data []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	end := bytes.LastIndexByte(data, '\n') + 1
	if l.over || len(data)-end > maxPartLine || end == 0 && len(l.rest)+len(data) > maxPartLine {
		end = len(data)
	}
	if end > 0 {
		l.rest = append(l.rest, data[:end]...)
		if _, err := l.w.Write(l.rest); err != nil {
			return 0, err
		}
		l.rest = l.rest[:0]
	}
	l.rest = append(l.rest, data[end:]...)
	return len(data), nil
}

// flush passes on a line that has not ended, and holds nothing back from then on.
func (l *wholeLines) flush() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.over = true
	if len(l.rest) > 0 {
		_, _ = l.w.Write(l.rest)
		l.rest = nil
	}
}
