.PHONY: run test lint bench doc

run:
	cargo run --release -- localserve

test: lint
	./tests/setup
	cargo test --workspace --locked --quiet

lint:
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked --quiet -- -D warnings

# smtp-sink comes with Postfix: apt-get install postfix
bench:
	cargo bench --locked --bench load -- accept
	cargo bench --locked --bench load -- end-to-end
	cargo bench --locked --bench load -- by-mx
	cargo bench --locked --bench load -- backlog
	cargo bench --locked --bench load -- uploads

doc:
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --locked
