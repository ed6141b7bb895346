package framing

// AtStart reports whether the next byte would begin a request.
func AtStart(s *Scanner) bool { return s.part == startLine && s.seen == 0 }
