// Package cluster runs the whole system as it runs in production, from the
// real binaries, each a process of its own on loopback addresses: gateways,
// auth-services, a user-service, a cluster of NATS servers with JetStream, a
// Redis, and two fresh databases on this machine's PostgreSQL.
//
//	client ─► gateway-1..n ──► auth-1..m ──► postgres
//	              │  │             │  │         ▲
//	              │  └──► redis ◄──┘  │       users
//	              └─────► nats-1..k ◄─┘
//
// Every arrow but the clients' is a faultproxy.Link of its own, named after its
// ends ("gateway-1>nats-2"), also those between the NATS servers. Processes can
// be killed, stopped, continued and started again, with what they had on disk,
// without it, or with an older copy.
//
// It promises to end, by their ids, all processes that it has started, and to
// drop its databases. It touches nothing else on the machine.
package cluster
