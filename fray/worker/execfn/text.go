package execfn

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"unicode/utf8"
)

// text is a string that may have any bytes, and keeps them in JSON: see the package documentation.
type text string

// encodedText is a text in JSON that is not UTF-8.
type encodedText struct {
	Base64 []byte `json:"base64"`
}

// MarshalJSON implements json.Marshaler.
func (t text) MarshalJSON() ([]byte, error) {
	if utf8.ValidString(string(t)) {
		return json.Marshal(string(t))
	}
	return json.Marshal(encodedText{[]byte(t)})
}

var errNotText = errors.New(`a string that is not valid UTF-8: write {"base64": "..."} for bytes`)

// UnmarshalJSON implements json.Unmarshaler.
func (t *text) UnmarshalJSON(data []byte) error {
	if len(data) > 0 && data[0] == '{' {
		var encoded encodedText
		decoder := json.NewDecoder(bytes.NewReader(data))
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(&encoded); err != nil {
			return fmt.Errorf(`a text as {"base64": "..."}: %w`, err)
		}
		if encoded.Base64 == nil {
			return errors.New(`a text as an object needs "base64"`)
		}
		*t = text(encoded.Base64)
		return nil
	}
	if !utf8.Valid(data) || loneSurrogate(data) {
		return errNotText
	}
	return json.Unmarshal(data, (*string)(t))
}

// loneSurrogate reports whether a JSON string escapes half of a surrogate pair, for which there is
// no text.
func loneSurrogate(quoted []byte) bool {
	high := false // the escape before was the first half
	for i := 0; i < len(quoted); i++ {
		if quoted[i] != '\\' {
			if high {
				return true
			}
			continue
		}
		i++ // what is escaped
		half := byte(0)
		if i+4 < len(quoted) && quoted[i] == 'u' && (quoted[i+1] == 'd' || quoted[i+1] == 'D') {
			half = quoted[i+2] | 0x20 // lower case; digits stay
		}
		switch {
		case half >= '8' && half <= '9' || half >= 'a' && half <= 'b':
			if high {
				return true
			}
			high = true
		case half >= 'c' && half <= 'f':
			if !high {
				return true
			}
			high = false
		default:
			if high {
				return true
			}
		}
		if i < len(quoted) && quoted[i] == 'u' {
			i += 4
		}
	}
	return high
}

func texts(list []string) []text {
	if list == nil {
		return nil
	}
	converted := make([]text, len(list))
	for i, s := range list {
		converted[i] = text(s)
	}
	return converted
}

func plain(list []text) []string {
	if list == nil {
		return nil
	}
	converted := make([]string, len(list))
	for i, t := range list {
		converted[i] = string(t)
	}
	return converted
}
