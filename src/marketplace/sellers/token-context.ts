/** What a seller's token is sealed for: it does not open as anybody else's. */
export const tokenContext = (userId: string): string => `cardtrader-token/${userId}`;

/** The same for what CardTrader signs the seller's webhooks with. */
export const webhookContext = (userId: string): string => `cardtrader-webhook/${userId}`;
