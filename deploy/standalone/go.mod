module gatehouse.internal/deploy/standalone

go 1.26.0

require gatehouse.internal/shared v0.0.0

replace gatehouse.internal/shared => ../../shared

replace gatehouse.internal/gateway => ../../gateway

replace gatehouse.internal/auth-service => ../../auth-service

replace gatehouse.internal/user-service => ../../user-service

require gatehouse.internal/gateway v0.0.0

require gatehouse.internal/auth-service v0.0.0

require gatehouse.internal/user-service v0.0.0

require (
	github.com/compose-spec/compose-go/v2 v2.16.2 // indirect
	github.com/emersion/go-sasl v0.0.0-20241020182733-b788ff22d5a6 // indirect
	github.com/emersion/go-smtp v0.25.1 // indirect
	github.com/google/go-cmp v0.7.0 // indirect
	github.com/google/uuid v1.6.0 // indirect
	github.com/labstack/echo/v4 v4.16.0 // indirect
	github.com/labstack/gommon v0.5.0 // indirect
	github.com/mattn/go-colorable v0.1.15 // indirect
	github.com/mattn/go-isatty v0.0.24 // indirect
	github.com/prometheus/client_golang v1.25.0 // indirect
	github.com/valyala/bytebufferpool v1.0.0 // indirect
	github.com/valyala/fasttemplate v1.2.2 // indirect
	golang.org/x/crypto v0.58.0 // indirect
	golang.org/x/net v0.61.0 // indirect
	golang.org/x/sync v0.24.0 // indirect
	golang.org/x/sys v0.49.0 // indirect
	golang.org/x/text v0.43.0 // indirect
)

exclude github.com/google/pprof v0.0.0-20261016150608-1facf8f91b50
