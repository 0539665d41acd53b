/** Sales on CardTrader: orders, what they do to stock, webhooks and the poll that makes up for those that are lost. */
export { resolveLine, type ApplyDeps } from './apply.ts';
export { readOrders } from './ledger.sql.ts';
export { unresolved, type LineRecord, type OrderRecord } from './ledger.ts';
export { ordersMetrics, watchOrders, webhookMetrics } from './metrics.ts';
export { pollNow } from './polls.sql.ts';
export { createOrders, ordersContext } from './role.ts';
export { selectOrders, selectPoll, type OrderRow, type PollRow } from './select.sql.ts';
export { unheardItems } from './unheard.ts';
export { createWebhookReceiver, WEBHOOK_OUTCOMES, type ReceivedCall, type WebhookOutcome } from './webhook.ts';
export { lineWords, orderAdvice } from './words.ts';
