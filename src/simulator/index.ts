/** A CardTrader stand-in: in-process for tests, demo and benchmarks, or as `brx-sync simulator`. */
export type { Control, NewProduct } from './control.ts';
export { FAULT_KINDS, FAULTS, isFaultKind, planForAll, type FaultKind, type FaultPlan, type Injected, type Injection } from './faults.ts';
export { GUESSES, guessTable, readGuesses, type GuessName, type Guesses } from './guesses.ts';
export type { Effect } from './ledger.ts';
export type { Blueprint, Order, Product, Seller } from './model.ts';
export { densestWindow } from './requests.ts';
export type { Sale, SaleResult } from './sales.ts';
export { WEBHOOK_FAULT_KINDS, WEBHOOK_FAULTS, webhookTable, type Delivery, type WebhookFault, type WebhookInjection, type WebhookPlan } from './webhooks.ts';
export { startSimulator, type Simulator, type SimulatorOptions } from './simulator.ts';
export { makeStock, readStock, type Stock } from './stock.ts';
