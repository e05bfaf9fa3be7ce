//! How a case is defined and registered at once.

/// Defines cases and the macro of the given name that registers exactly these. `$d` is a dollar sign, which a macro that
/// writes a macro cannot write itself.
macro_rules! cases {
    ($d:tt $name:ident $( $(#[$doc:meta])* async fn $case:ident($database:ident) $body:block )*) => {
        $(
            $(#[$doc])*
            pub async fn $case<F: StoreFactory>($database: &Database<'_, F>) $body
        )*

        /// Registers a file of cases; [`store_conformance!`](crate::store_conformance) registers all of them.
        #[doc(hidden)]
        #[macro_export]
        macro_rules! $name {
            (native, $d factory:expr) => {
                $(
                    #[test]
                    fn $case() {
                        $crate::block_on(async {
                            let factory = $d factory;
                            let name = stringify!($case);
                            let database = $crate::conformance::Database::fresh(&factory, name).await;
                            $crate::conformance::$case(&database).await;
                        });
                    }
                )*
            };
            (browser, $d factory:expr) => {
                $(
                    #[::wasm_bindgen_test::wasm_bindgen_test]
                    async fn $case() {
                        let factory = $d factory;
                        let name = stringify!($case);
                        let database = $crate::conformance::Database::fresh(&factory, name).await;
                        $crate::conformance::$case(&database).await;
                    }
                )*
            };
        }
    };
}

/// Registers every case of [`conformance`](crate::conformance) as a test of the store that a
/// [`StoreFactory`](crate::conformance::StoreFactory) makes. The first word says where it runs: `native` or `browser`.
#[macro_export]
macro_rules! store_conformance {
    ($place:ident, $factory:expr) => {
        $crate::writing_cases!($place, $factory);
        $crate::tabs_cases!($place, $factory);
        $crate::range_cases!($place, $factory);
        $crate::maintenance_cases!($place, $factory);
        $crate::snapshot_cases!($place, $factory);
        $crate::erasing_cases!($place, $factory);
    };
}
