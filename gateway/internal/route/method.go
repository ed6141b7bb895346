package route

import (
	"net/http"
	"strings"
)

// methodCount is the number of methods that can be routed.
const methodCount = 6

// Methods are the methods that can be routed, and those of a route that names
// none. TRACE and CONNECT are refused everywhere, and OPTIONS is answered by
// the gateway (S-P10).
func Methods() []string {
	names := methodNames()
	return names[:]
}

func methodNames() [methodCount]string {
	return [methodCount]string{
		http.MethodGet, http.MethodHead, http.MethodPost,
		http.MethodPut, http.MethodPatch, http.MethodDelete,
	}
}

const (
	getIndex  = 0
	headIndex = 1
)

// methodIndex is the place of a method in methodNames, or -1. Methods are
// case-sensitive (RFC 9110 section 9.1).
func methodIndex(method string) int {
	switch method {
	case http.MethodGet:
		return getIndex
	case http.MethodHead:
		return headIndex
	case http.MethodPost:
		return 2
	case http.MethodPut:
		return 3
	case http.MethodPatch:
		return 4
	case http.MethodDelete:
		return 5
	}
	return -1
}

// methodSet has bit i for methodNames[i].
type methodSet uint8

func (s methodSet) has(i int) bool { return s&(1<<i) != 0 }

// methodSetOf gives the set of the known ones of methods.
func methodSetOf(methods []string) methodSet {
	var set methodSet
	for _, m := range methods {
		if i := methodIndex(m); i >= 0 {
			set |= 1 << i
		}
	}
	return set
}

// allow is the set as the value of an Allow field, with the OPTIONS that the
// gateway answers.
func (s methodSet) allow() string {
	return strings.Join(append(s.names(), http.MethodOptions), ", ")
}

func (s methodSet) names() []string {
	var names []string
	for i, name := range methodNames() {
		if s.has(i) {
			names = append(names, name)
		}
	}
	return names
}
