package httpx

import (
	"io"
	"log/slog"
	"strings"
)

// Log returns a logger that writes one JSON object per line, with times in
// UTC, from the given level on: debug, info, warn or error; any other text
// means info. As a last resort it masks attributes that are named
// like secrets; the first is not to log them.
func Log(w io.Writer, level string) *slog.Logger {
	var threshold slog.Level
	if err := threshold.UnmarshalText([]byte(level)); err != nil {
		threshold = slog.LevelInfo
	}
	return slog.New(slog.NewJSONHandler(w, &slog.HandlerOptions{Level: threshold, ReplaceAttr: tidy}))
}

// tidy writes times in UTC and masks what is named like a secret.
func tidy(_ []string, a slog.Attr) slog.Attr {
	if a.Value.Kind() == slog.KindTime {
		return slog.Time(a.Key, a.Value.Time().UTC())
	}
	switch strings.ToLower(a.Key) {
	case "password", "secret", "token", "access_token", "refresh_token", "authorization", "cookie", "set-cookie", "email":
		return slog.String(a.Key, "***")
	}
	return a
}
